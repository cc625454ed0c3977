/**
 * CPU (user + system) a record of writing and reading record batches, ours beside another client's own functions, on whichever runtime runs this file.
 *
 * Ways alternate within one process; the figure is the median of the rounds after the first ones, which warm up.
 */
import process from "node:process";
import { createRecordsBatch, type MessageRecord, Reader, readRecordsBatch } from "@platformatic/kafka";
import { json } from "../../src/record/codec-json.ts";
import { msgpack } from "../../src/record/codec-msgpack.ts";
import { crc32c } from "../../src/record/crc32c.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { HeaderField } from "../../src/record/record.ts";

const RECORDS = 2_000;
const REPEATS = 25;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 5;

const values = Array.from(
  { length: RECORDS },
  (_item, i) => ({ user: `user-${i % 977}`, amount: (i * 7919) % 10_000, at: 1_793_491_200_000 + i, kind: i % 2 === 0 ? "buy" : "sell" }),
);
const texts = values.map((value) => JSON.stringify(value));
const german = texts.map((text) => text.replace("buy", "gekauft für €").replace("sell", "verkauft für €"));
const long = texts.map((text) => text.repeat(8));
const keys = values.map((value) => value.user);
const bytes = texts.map((text) => new TextEncoder().encode(text));
const headers: readonly HeaderField[] = [{ name: "trace", value: "0123456789abcdef" }];
const messages: MessageRecord[] = texts.map((text, i) => ({
  topic: "t",
  key: Buffer.from(keys[i]!),
  value: Buffer.from(text),
  timestamp: BigInt(values[i]!.at),
}));

const encoder = new BatchEncoder();

function write(payloads: readonly (string | Uint8Array)[], fields: readonly HeaderField[] | null): Uint8Array {
  encoder.reset();
  for (let i = 0; i < RECORDS; i++) encoder.append(values[i]!.at, keys[i]!, payloads[i]!, fields);
  return encoder.seal(0);
}

const batch = write(texts, null).slice();
const headed = write(texts, headers).slice();
const theirs = Buffer.from(batch);
const packed = values.map((value) => msgpack<unknown>()["~codec"].encode(value) as Uint8Array);
const cursor = new RecordCursor();
let sink = 0;

function read(from: Uint8Array, visit: (cursor: RecordCursor) => unknown): void {
  cursor.open(from, 0, from.length, 0);
  while (cursor.next()) if (visit(cursor) !== null) sink++;
}

function each<T>(items: readonly T[], fn: (item: T) => unknown): void {
  for (const item of items) if (fn(item) !== null) sink++;
}

const jsonCodec = json<unknown>()["~codec"];
const msgpackCodec = msgpack<unknown>()["~codec"];
const ways: readonly (readonly [name: string, run: () => void])[] = [
  ["write: text, 85 bytes", () => write(texts, null)],
  ["write: bytes", () => write(bytes, null)],
  ["write: text beyond ASCII", () => write(german, null)],
  ["write: text, 680 bytes", () => write(long, null)],
  ["write: text and a header", () => write(texts, headers)],
  ["write: other client", () => void createRecordsBatch(messages).buffer],
  ["checksum alone", () => void (sink += crc32c(batch))],
  ["read: next() alone", () => read(batch, (at) => at.valueStart)],
  ["read: key as text", () => read(batch, (at) => at.keyText())],
  ["read: key and value as text", () => read(batch, (at) => at.keyText()! + at.valueText()!)],
  ["read: key and JSON", () => read(batch, (at) => [at.keyText(), jsonCodec.decode(at.valueBytes()!)])],
  ["read: key, JSON.parse(valueText())", () => read(batch, (at) => [at.keyText(), JSON.parse(at.valueText()!)])],
  ["read: one header by name", () => read(headed, (at) => at.header("trace"))],
  ["read: other client, no text", () => void (sink += readRecordsBatch(Reader.from(theirs)).records.length)],
  ["json encode", () => each(values, (value) => jsonCodec.encode(value))],
  ["msgpack encode", () => each(values, (value) => msgpackCodec.encode(value))],
  ["msgpack decode", () => each(packed, (one) => msgpackCodec.decode(one))],
];

const times = new Map(ways.map(([name]) => [name, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of ways) {
    const repeats = name.includes("other client") ? 5 : REPEATS;
    const before = process.cpuUsage();
    for (let i = 0; i < repeats; i++) run();
    const { user, system } = process.cpuUsage(before);
    if (round >= WARM_UP_ROUNDS) times.get(name)!.push((user + system) / repeats / RECORDS);
  }
}
const runtime = process.versions["bun"] !== undefined ? "bun" : process.versions["deno"] !== undefined ? "deno" : "node";
for (const [name, all] of times) {
  all.sort((a, b) => a - b);
  console.log(`${runtime.padEnd(5)} ${name.padEnd(36)} ${all[all.length >> 1]!.toFixed(3)} us`);
}
if (sink < 0) console.log(sink);
