/** Kafka as the log of an app. */
export {};
