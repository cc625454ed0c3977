/** An app with a webhook on Kafka, to be killed. Arguments: name, brokers, directory. Prints where it listens. */
import process from "node:process";
import { kafka } from "../../adapters/kafka/kafka.ts";
import { webhookApp } from "./webhook-app.ts";

const [name, brokers, directory] = process.argv.slice(2) as [string, string, string];
const app = webhookApp(name, { log: kafka({ brokers: [brokers], sessionTimeout: "1500ms" }) });
await app.run({ port: 0, directory, onStart: ({ url }) => console.log(url) });
