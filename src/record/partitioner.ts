/** Which partition a key belongs to: Kafka's default (murmur2), so that programs in any language put a key in the same place. */
import type { Payload } from "./record.ts";
import { writeUtf8 } from "./utf8.ts";

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

let scratch = new Uint8Array(512);

/** The partition, from 0, of a key among so many partitions. */
export function partitionFor(key: Payload, partitions: number): number {
  if (typeof key !== "string") return (murmur2(key, 0, key.length) & 0x7fffffff) % partitions;
  if (3 * key.length > scratch.length) scratch = new Uint8Array(6 * key.length);
  return (murmur2(scratch, 0, writeUtf8(scratch, 0, key)) & 0x7fffffff) % partitions;
}

/** Murmur2 of the bytes from `start` to `end`, signed 32-bit, as Kafka's clients count it. */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = SEED ^ length;
  let at = start;
  for (; end - at >= 4; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  const rest = end - at;
  if (rest === 3) hash ^= bytes[at + 2]! << 16;
  if (rest >= 2) hash ^= bytes[at + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[at]!, MULTIPLIER);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}
