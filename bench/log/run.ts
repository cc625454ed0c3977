/**
 * What the embedded log costs: `<runtime> bench/log/run.ts`.
 *
 * 1. Commits of 1,000 records of 100 bytes, and reading them: CPU (user and system) us a record, median of rounds; from the tail in memory, and from SQLite.
 * 2. Appends of one record by 64 appenders on a disk whose flush takes 4 ms: appends a second, flushes, and how long the thread is held (p50, p99 of the gaps
 *    between turns while the appenders run).
 */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { embeddedLog } from "../../src/log/embedded.ts";
import type { Log, Membership, PartitionReader } from "../../src/log/log.ts";
import { memoryLog } from "../../src/log/memory.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import type { Disk, DiskFile } from "../../src/runtime/disk.ts";
import { tempDirectory } from "../../tests/shim/temp.ts";

const ROUNDS = 7;
const COMMITS = 200;
const RECORDS = 1_000;
const FLUSH_MS = 4;

const runtime = await hostRuntime();
const value = "v".repeat(84);
const median = (values: readonly number[], at = 0.5): number =>
  [...values].sort((left, right) => left - right)[Math.min(values.length - 1, Math.floor(values.length * at))]!;
const print = (text: string): void => runtime.print(text);

async function cpuUs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** A disk whose flushes take their time without using the processor. */
function slowDisk(disk: Disk): { readonly disk: Disk; flushes: number } {
  const counted = { flushes: 0, disk };
  const open = (path: string, options?: { readonly create?: boolean }): DiskFile => {
    const file = disk.open(path, options);
    return {
      read: (into, position) => file.read(into, position),
      write: (from, position) => file.write(from, position),
      truncate: (size) => file.truncate(size),
      size: () => file.size(),
      sync: () => file.sync(),
      close: () => file.close(),
      flush: () => {
        counted.flushes++;
        return new Promise((resolve) => runtime.setTimer(resolve, FLUSH_MS));
      },
    };
  };
  const slow: Disk = {
    name: "slow",
    open,
    exists: (path) => disk.exists(path),
    delete: (path) => disk.delete(path),
    rename: (from, to) => disk.rename(from, to),
    list: () => disk.list(),
    lock: (path, facts) => disk.lock(path, facts),
    lockHolder: (path) => disk.lockHolder(path),
  };
  return Object.assign(counted, { disk: slow });
}

function countAll(reader: PartitionReader, cursor: RecordCursor): number {
  let count = 0;
  for (let chunk = reader.take(262_144); chunk !== null; chunk = reader.take(262_144)) {
    cursor.open(chunk.bytes, chunk.start, chunk.end, 0);
    while (cursor.next()) count++;
  }
  return count;
}

async function perRecord(name: string, log: Log): Promise<void> {
  await log.ensureTopics([{ name: "in", partitions: 1, retention: "forever", internal: false }, {
    name: "out",
    partitions: 1,
    retention: "forever",
    internal: false,
  }]);
  const membership: Membership = await log.join("bench", ["in"], { assigned() {}, revoked() {}, lost() {} });
  const encoder = new BatchEncoder();
  const cursor = new RecordCursor();
  const at = { topic: "out", partition: 0 };
  const [encodes, commits, tails, stored, appends]: [number[], number[], number[], number[], number[]] = [[], [], [], [], []];
  const encode = (): void => {
    encoder.reset();
    for (let i = 0; i < RECORDS; i++) encoder.append(1_000_000 + i, `key-${i % 10_000}`, value, null);
  };
  const records = COMMITS * RECORDS;
  for (let round = 0; round < ROUNDS; round++) {
    encodes.push(
      await cpuUs(() => {
        for (let i = 0; i < COMMITS; i++) encode();
      }) / records,
    );
    const tail = log.reader(at, (await log.describe(["out"]))[0]!.end, () => {});
    const begin = tail.position;
    let tailUs = 0;
    commits.push(
      await cpuUs(async () => {
        for (let i = 0; i < COMMITS; i++) {
          encode();
          const receipt = await log.commit({
            membership,
            positions: [{ topic: "in", partition: 0, position: i }],
            outputs: [{ ...at, encoder }],
            changelog: [],
          }, () => {});
          const before = process.cpuUsage();
          countAll(tail, cursor);
          const { user, system } = process.cpuUsage(before);
          tailUs += user + system;
          if (i % 10 === 9) await receipt.durable;
        }
        await log.flush();
      }) / records,
    );
    tails.push(tailUs / records);
    tail.close();
    const cold = log.reader(at, begin - (begin % RECORDS), () => {});
    stored.push(await cpuUs(() => countAll(cold, cursor)) / records);
    cold.close();
    appends.push(
      await cpuUs(async () => {
        for (let i = 0; i < 60; i++) {
          await log.append([{
            topic: "in",
            partition: 0,
            records: Array.from({ length: RECORDS }, (_, k) => ({ key: `key-${k}`, value, timestamp: 1_000_000 + k })),
          }]);
        }
      }) / (60 * RECORDS),
    );
  }
  const commitOnly = median(commits) - median(tails);
  print(
    `${name.padEnd(24)} encode ${median(encodes).toFixed(3)}  encode+commit ${commitOnly.toFixed(3)}  append() ${median(appends).toFixed(3)}  ` +
      `read tail ${median(tails).toFixed(3)}  read stored ${median(stored).toFixed(3)}`,
  );
}

async function groupCommit(): Promise<void> {
  const directory = tempDirectory();
  const slow = slowDisk(runtime.disk(directory.path));
  const log = await embeddedLog(runtime, slow.disk);
  await log.ensureTopics([{ name: "in", partitions: 1, retention: "forever", internal: false }]);
  const run = async (turns: number): Promise<{ appends: number; ms: number; cpu: number; gaps: number[] }> => {
    const gaps: number[] = [];
    let isRunning = true;
    const watch = (async () => {
      for (let last = runtime.monotonic(); isRunning;) {
        await runtime.yield();
        const now = runtime.monotonic();
        gaps.push(now - last);
        last = now;
      }
    })();
    const begun = runtime.monotonic();
    const cpu = await cpuUs(async () => {
      await Promise.all(Array.from({ length: 64 }, async (_, appender) => {
        for (let i = 0; i < turns; i++) await log.append([{ topic: "in", partition: 0, records: [{ key: `key-${appender}`, value, timestamp: 1_000_000 }] }]);
      }));
    });
    isRunning = false;
    await watch;
    return { appends: 64 * turns, ms: runtime.monotonic() - begun, cpu, gaps };
  };
  await run(50);
  slow.flushes = 0;
  const { appends, ms, gaps } = await run(400);
  // Turns without work are the rule: what holds the thread is what stands out of them, one transaction a flush.
  const held = [...gaps].sort((left, right) => right - left).slice(0, slow.flushes);
  print(
    `group commit             ${Math.round(appends / ms * 1_000)} appends/s, ${slow.flushes} flushes for ${appends} appends; the thread is held, all turns: ` +
      `p50 ${median(gaps).toFixed(3)} p99 ${median(gaps, 0.99).toFixed(3)} max ${median(gaps, 1).toFixed(2)} ms; the ${slow.flushes} longest: p50 ${
        median(held).toFixed(2)
      } p99 ${median(held, 0.99).toFixed(2)} ms`,
  );
  await log.close();
  directory.remove();
}

print(`${runtime.name} ${runtime.version}: CPU us a record`);
await perRecord("memory", memoryLog(runtime));
const directory = tempDirectory();
const log = await embeddedLog(runtime, runtime.disk(directory.path));
await perRecord("embedded", log);
await log.close();
directory.remove();
const inMemory = await embeddedLog(runtime, memoryDisk());
await perRecord("embedded, memory disk", inMemory);
await inMemory.close();
await groupCommit();
