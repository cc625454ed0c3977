/**
 * SQLite in WebAssembly beside the host's native SQLite, same file system, same settings: `node|bun|deno run -A bench/sqlite/run.ts [rounds]`.
 *
 * 10,000 keys, 100-byte blobs, WAL, transactions of 1,000 upserts; point reads of random keys, from a cache that holds everything and from one of 200 KiB that mostly misses.
 * CPU is user + system of the whole process, in microseconds an operation; the sides take turns, and the median of the rounds counts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { Random } from "../../src/base/random.ts";
import { openNative } from "./native.ts";
import { openWasm } from "./wasm.ts";

/** One side of the comparison. */
export interface Side {
  begin(): void;
  commit(): void;
  upsert(key: string, value: Uint8Array): void;
  /** Bytes of the value. */
  read(key: string): number;
  checkpoint(): void;
  close(): void;
}

const KEYS = 10_000, BATCH = 1_000, BATCHES = 30, READS = 30_000;
const CACHE_KIB = 16_384, SMALL_CACHE_KIB = 200;
const WARM_UP_ROUNDS = 4;
const rounds = Number(process.argv[2] ?? 9);
const random = new Random(1);
const keys = Array.from({ length: KEYS }, (_, i) => `account-${String(i).padStart(6, "0")}`);
const values = Array.from({ length: 64 }, () => random.fill(new Uint8Array(100)));

const runtime = await hostRuntime();
const directory = mkdtempSync(join(tmpdir(), "millrace-bench-"));
const openers: Record<string, (file: string, cacheKib: number) => Promise<Side>> = {
  native: (file, cacheKib) => openNative(join(directory, `native-${file}.db`), cacheKib),
  wasm: (file, cacheKib) => openWasm(runtime, directory, `wasm-${file}.db`, cacheKib, true),
  "wasm, no checksums": (file, cacheKib) => openWasm(runtime, directory, `plain-${file}.db`, cacheKib, false),
};
const figures = new Map<string, Record<string, number[]>>();

async function measure(side: string, what: string, operations: number, fn: () => void | Promise<void>): Promise<void> {
  const before = process.cpuUsage();
  await fn();
  const used = process.cpuUsage(before);
  const bySide = figures.get(what) ?? {};
  (bySide[side] ??= []).push((used.user + used.system) / operations);
  figures.set(what, bySide);
}

async function upserts(side: Side): Promise<void> {
  for (let batch = 0; batch < BATCHES; batch++) {
    side.begin();
    for (let i = 0; i < BATCH; i++) side.upsert(keys[random.below(KEYS)]!, values[i & 63]!);
    side.commit();
  }
}

function reads(side: Side, count: number): void {
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += side.read(keys[random.below(KEYS)]!);
  if (bytes === 0) throw new Error("Nothing was read");
}

/** A side with everything in its cache, and one whose cache mostly misses. */
interface Pair {
  readonly warm: Side;
  readonly missing: Side;
}

async function open(name: string): Promise<Pair> {
  const sides: Side[] = [];
  for (const [file, cacheKib] of [["warm", CACHE_KIB], ["missing", SMALL_CACHE_KIB]] as const) {
    const side = await openers[name]!(file, cacheKib);
    side.begin();
    for (const key of keys) side.upsert(key, values[0]!);
    side.commit();
    side.checkpoint();
    sides.push(side);
  }
  return { warm: sides[0]!, missing: sides[1]! };
}

async function round(name: string, { warm, missing }: Pair): Promise<void> {
  await measure(name, "upsert", BATCHES * BATCH, () => upserts(warm));
  await measure(name, "point read", READS, () => reads(warm, READS));
  await measure(name, "read past cache", READS, () => reads(missing, READS));
}

try {
  const pairs = new Map<string, Pair>();
  for (const name of Object.keys(openers)) pairs.set(name, await open(name));
  for (let i = 0; i < WARM_UP_ROUNDS; i++) for (const [name, pair] of pairs) await round(name, pair);
  figures.clear();
  for (let i = 0; i < rounds; i++) for (const [name, pair] of pairs) await round(name, pair);
  for (const { warm, missing } of pairs.values()) for (const side of [warm, missing]) side.close();
  report();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function report(): void {
  console.log(`${runtime.name} ${runtime.version}, CPU us an operation, median of ${rounds} rounds (ratio to native)`);
  for (const [what, bySide] of figures) {
    const native = median(bySide["native"]!);
    const cells = Object.keys(openers).map((name) => `${name} ${median(bySide[name]!).toFixed(2)} (${(median(bySide[name]!) / native).toFixed(2)})`);
    console.log(`${what.padEnd(16)} ${cells.join("   ")}`);
  }
}

function median(samples: readonly number[]): number {
  return [...samples].sort((left, right) => left - right)[samples.length >> 1]!;
}
