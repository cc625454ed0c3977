/**
 * CPU a record on a real broker, by command, with Node 22.18 or later:
 *
 *     node bench/kafka/run.mjs [--records 1000000] [--keys 10000] [--partitions 4] [--runtime node,bun,deno] [--jobs J1,J2,J3] [--client platformatic,confluent]
 *       [--guarantee exactly-once,at-least-once] [--commits ms:100,records:10000] [--peers kafka-streams] [--rounds 1]
 *
 * Starts a broker, writes the input, and runs one contender after the other on it, each in a process of its own and from the start of the topic: Millrace, a bare loop over the same client, and, where
 * asked for, Kafka Streams. Prints a figure only when all that was said is what a brute force over the input says. See bench/README.md for the jobs.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findKafka, installKafka } from "../../scripts/kafka/jars.mjs";
import { installNative } from "../../scripts/kafka/native.mjs";
import { startBroker } from "../../scripts/kafka/broker-process.mjs";
import { hasCompiler, javaRecords } from "../../tests/broker/java-records.ts";
import { ownRecords } from "../../tests/broker/own-records.ts";
import { installStreams, STREAMS_VERSION } from "../peers/kafka-streams/install.mjs";
import { measure } from "./contest.ts";
import { differenceOf, expectedOf, inputOf, resultsOf } from "./input.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000000" },
    keys: { type: "string", default: "10000" },
    partitions: { type: "string", default: "4" },
    runtime: { type: "string", default: "node,bun,deno" },
    jobs: { type: "string", default: "J1,J2,J3" },
    client: { type: "string", default: "platformatic" },
    guarantee: { type: "string", default: "exactly-once,at-least-once" },
    commits: { type: "string", default: "ms:100,records:10000" },
    peers: { type: "string", default: "" },
    rounds: { type: "string", default: "1" },
  },
});
const list = (text) => text.split(",").map((item) => item.trim()).filter((item) => item !== "");
const records = Number(values.records), keys = Number(values.keys), partitions = Number(values.partitions), rounds = Number(values.rounds);
const binaries = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

const missing = installKafka();
if (missing !== null) stop(`No broker can be started: ${missing}.`);
const noNative = list(values.client).includes("confluent") ? installNative() : null;
if (noNative !== null) stop(`The native client cannot be used: ${noNative}.`);
const streams = list(values.peers).includes("kafka-streams") ? installStreams() : null;

const { classPath, java } = findKafka();
const broker = await startBroker({ heapMb: 1024 });
const content = hasCompiler() ? javaRecords({ classPath, brokers: broker.bootstrap }) : await ownRecords(broker.bootstrap);
try {
  const rows = [];
  for (const job of list(values.jobs)) rows.push(...await runJob(job));
  console.log(`\n${describeMachine()}\n`);
  for (const row of rows) console.log(row);
} finally {
  await content.close();
  await broker.remove();
}

async function runJob(job) {
  const { lines, bytes } = inputOf(job, records, keys, partitions);
  const expected = expectedOf(job, lines), results = resultsOf(expected);
  const input = `in-${job.toLowerCase()}`;
  await content.create(partitions, [input]);
  const loader = content.load(input);
  for (let from = 0; from < lines.length; from += 50_000) await loader.write(lines.slice(from, from + 50_000));
  await loader.end();
  console.log(`${job}: ${lines.length} records of ${bytes} bytes on ${partitions} partitions, ${results} results wanted.`);

  const measured = new Map();
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contendersOf(job)) {
      const name = `${job.toLowerCase()}-${contender.id}-${round}`.replaceAll(/[^a-z0-9-]+/g, "-"), output = `out-${name}`;
      await content.create(partitions, [output]);
      try {
        const figures = await measure(contender.at({ name, input, output, taken: lines.length, results }), lines.length);
        const said = new Map();
        await content.dump(output, ({ key, value }) => said.has(key) ? said.get(key).push(value) : said.set(key, [value]));
        // A commit that a busy machine makes fail is done again; all results of a job differ from each other.
        const repeated = contender.mayRepeat ? withoutRepeated(said) : 0;
        const difference = differenceOf(job, expected, said);
        if (difference !== null) throw new Error(`its output is wrong: ${difference}`);
        if (!measured.has(contender)) measured.set(contender, []);
        measured.get(contender).push(figures);
        console.log(
          `  ${contender.id}: ${figures.withStart.toFixed(2)} with start, ${figures.steady.toFixed(2)} steady, ${(figures.wallMs / 1000).toFixed(1)} s, ${
            figures.peakMb ?? "?"
          } MB`,
        );
      } catch (error) {
        process.exitCode = 1;
        console.log(`  ✗ ${contender.id}: ${error.message}`);
      }
    }
  }
  return tableOf(job, measured);
}

/** What takes part. Memoized by id, so that rounds find the same one. */
function contendersOf(job) {
  contendersOf.made ??= new Map();
  if (contendersOf.made.has(job)) return contendersOf.made.get(job);
  const made = [];
  for (const runtime of list(values.runtime)) {
    for (const client of list(values.client)) {
      if (client === "confluent" && runtime !== "node") continue;
      const bare = `bare-${client}`;
      if (job !== "J2") made.push({ id: `${runtime} ${bare}`, runtime, client, isBare: true, at: programOf(runtime, job, `${bare}.ts`, () => []) });
      for (const guarantee of list(values.guarantee)) {
        for (const commits of list(values.commits)) {
          made.push({
            id: `${runtime} millrace ${client} ${guarantee} ${commits}`,
            runtime,
            client,
            mayRepeat: guarantee === "at-least-once",
            at: programOf(runtime, job, "millrace.ts", ({ name }) => [client, guarantee, commits, join(directory, name)]),
          });
        }
      }
    }
  }
  if (streams !== null) {
    for (const guarantee of ["at_least_once", "exactly_once_v2"]) {
      made.push({
        id: `kafka-streams ${guarantee}`,
        isStreams: true,
        mayRepeat: guarantee === "at_least_once",
        at: ({ name, input, output, taken, results }) => ({
          name,
          command: java,
          args: [
            "-Dlog4j2.level=ERROR",
            "-cp",
            streams,
            "Jobs",
            job,
            broker.bootstrap,
            name,
            input,
            output,
            guarantee,
            taken,
            results,
            join(directory, name),
            100,
          ].map(String),
        }),
      });
    }
  }
  contendersOf.made.set(job, made);
  return made;
}

function programOf(runtime, job, file, more) {
  const flags = { node: ["--disable-warning=ExperimentalWarning"], bun: ["run"], deno: ["run", "-A", "--no-check", "--quiet"] }[runtime];
  const path = fileURLToPath(new URL(file, import.meta.url));
  return (run) => ({
    name: run.name,
    command: join(binaries, runtime),
    args: [...flags, path, job, broker.bootstrap, run.name, run.input, run.output, run.taken, run.results, ...more(run)].map(String),
  });
}

/** Leaves the first of each; the number of the others. */
function withoutRepeated(said) {
  let repeated = 0;
  for (const [key, values] of said) {
    const once = [...new Set(values)];
    repeated += values.length - once.length;
    said.set(key, once);
  }
  return repeated;
}

/** A Markdown table: medians, and ratios of the steady figures. */
function tableOf(job, measured) {
  const median = (all, of) => all.map(of).sort((a, b) => a - b)[all.length >> 1];
  const steady = (wanted) => {
    const found = [...measured].find(([contender]) => wanted(contender));
    return found === undefined ? null : median(found[1], (it) => it.steady);
  };
  const peer = steady(({ id }) => id === "kafka-streams at_least_once"), exactPeer = steady(({ id }) => id === "kafka-streams exactly_once_v2");
  const rows = [`| ${job} | with start | steady | wall s | peak MB | of the bare loop | of Kafka Streams |`, "|---|---|---|---|---|---|---|"];
  for (const [contender, all] of measured) {
    const own = median(all, (it) => it.steady);
    const bare = contender.isStreams ? null : steady(({ isBare, runtime, client }) => isBare && runtime === contender.runtime && client === contender.client);
    const rival = contender.id.includes("exactly-once") ? exactPeer : peer;
    const ratio = (other) => other === null ? "–" : `${(own / other).toFixed(2)} x`;
    rows.push(
      `| ${contender.id} | ${median(all, (it) => it.withStart).toFixed(2)} | ${own.toFixed(2)} | ${(median(all, (it) => it.wallMs) / 1000).toFixed(1)} | ${
        median(all, (it) => it.peakMb ?? 0)
      } | ${ratio(bare)} | ${ratio(contender.isStreams ? null : rival)} |`,
    );
  }
  return [...rows, ""];
}

function describeMachine() {
  const versionOf = (name) => /\d+\.\d+\.\d+/.exec(spawnSync(join(binaries, name), ["--version"], { encoding: "utf8" }).stdout ?? "")?.[0] ?? "?";
  const runtimes = list(values.runtime).map((name) => `${name} ${versionOf(name)}`).join(", ");
  const load = loadavg().map((value) => value.toFixed(1)).join(" ");
  return [
    `CPU us a record (user + system), ${records} records, ${keys} keys, ${partitions} partitions, median of ${rounds}; outputs checked by ${content.name}.`,
    `${cpus().length} x ${cpus()[0].model.trim()}, load ${load}; ${runtimes}; Kafka 4.1.0${
      streams === null ? "" : `, Kafka Streams ${STREAMS_VERSION}, commits each 100 ms, no cache`
    }.`,
  ].join("\n");
}

function stop(text) {
  console.error(text);
  process.exit(1);
}
