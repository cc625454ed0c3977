/** Whether a broker at `host` and `port` answers requests and serves; asks once, for at most 2 seconds. Never rejects. */
export function answersRequests(host: string, port: number): Promise<boolean>;
