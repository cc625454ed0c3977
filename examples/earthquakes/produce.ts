/** Puts the earthquakes of the week on their topic, one after the other: `KAFKA_BROKERS=… node examples/earthquakes/produce.ts [--seconds 10] [--dir directory]`. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createApp, env } from "millrace";
import { kafka } from "millrace/kafka";
import { endOfFeed, loadQuakes } from "./quakes.ts";
import { defineQuakes, PARTITIONS } from "./topics.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "10" }, dir: { type: "string", default: ".millrace/earthquake-feed" } } });
const feed = createApp("earthquake-feed", { log: kafka({ brokers: env("KAFKA_BROKERS", "localhost:9092") }), directory: values.dir });
const topic = defineQuakes(feed);
const quakes = loadQuakes();

const CHUNK = 20;
const startedAt = performance.now(), pauseMs = Number(values.seconds) * 1000 * CHUNK / quakes.length;
for (let from = 0; from < quakes.length; from += CHUNK) {
  await Promise.all(quakes.slice(from, from + CHUNK).map((quake) => topic.send(quake)));
  await sleep(Math.max(0, startedAt + (from / CHUNK + 1) * pauseMs - performance.now()));
}
const end = endOfFeed(quakes);
for (let partition = 0; partition < PARTITIONS; partition++) await topic.send(end, { partition });
await feed.stop();

const late = quakes.filter(({ properties: { time } }, index) => index > 0 && time < quakes[index - 1]!.properties.time).length;
console.log(`${quakes.length} earthquakes are on topic "${topic.name}"; ${late} of them shook the earth before the one in front of them.`);
process.exitCode = 0;
