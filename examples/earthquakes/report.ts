/** Reads what the app has said, tells of it, and holds it against a brute force: `KAFKA_BROKERS=… node examples/earthquakes/report.ts [--dir directory]`. Exit code 1 when a number is wrong. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createApp, env } from "millrace";
import { kafka } from "millrace/kafka";
import { differences, expectedDays } from "./expected.ts";
import { defineResults, type QuakeDay } from "./topics.ts";

const DEADLINE_MS = 60_000;
/** Whatever is said once too often comes at the same time as the rest. */
const QUIET_MS = 2_000;

const { values } = parseArgs({ options: { dir: { type: "string", default: ".millrace/earthquake-report" } } });
// A group of its own each time, so that it reads from the start.
const report = createApp(`earthquake-report-${Date.now()}`, { log: kafka({ brokers: env("KAFKA_BROKERS", "localhost:9092") }), directory: values.dir });
const said: QuakeDay[] = [];
report.stream(defineResults(report)).forEach((day) => void said.push(day));

const running = report.run({ port: null, onStart: () => {} });
const wanted = expectedDays();
for (const deadline = performance.now() + DEADLINE_MS; said.length < wanted.length && performance.now() < deadline;) await sleep(100);
await sleep(QUIET_MS);
await report.stop();
await running;

const regions = new Map<string, number>();
for (const { region, quakes } of said) regions.set(region, (regions.get(region) ?? 0) + quakes);
const most = [...regions].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([region, quakes]) => `${region} ${quakes}`).join(", ");
const strongest = [...said].sort((a, b) => b.strongest - a.strongest).slice(0, 3).map((it) => `${it.strongest} ${it.region} (${it.day})`).join(", ");
console.log(`Most earthquakes: ${most}.`);
console.log(`Strongest: ${strongest}.`);

const wrong = differences(said);
for (const line of wrong.slice(0, 20)) console.log(`✗ ${line}`);
const total = said.reduce((sum, { quakes }) => sum + quakes, 0);
if (wrong.length === 0) console.log(`✓ ${total} earthquakes in ${said.length} results, each said once, and equal to a brute force over the events.`);
else console.log(`✗ ${wrong.length} of ${wanted.length} results are missing, wrong or said twice.`);
process.exitCode = wrong.length === 0 ? 0 : 1;
