/** Starts a broker, says where it is, and waits to be killed. */
import { startBroker } from "../../scripts/kafka/broker-process.mjs";

const broker = await startBroker();
console.log(JSON.stringify({ pid: broker.pid, directory: broker.directory }));
setInterval(() => undefined, 60_000);
