/** Records of every shape, from a seed: empty, null, large, any Unicode and lone surrogates, any timestamps. */
import type { Random } from "../../src/base/random.ts";
import type { HeaderField, NewRecord, Payload } from "../../src/record/record.ts";

const LETTERS = ["a", "Z", "0", " ", "\0", "\x7f", "\x80", "é", "\u07ff", "€", "\ufeff", "\uffff", "\u{1f600}", "\ud800", "\udfff"] as const;
const LENGTHS = [0, 1, 2, 7, 8, 24, 25, 31, 32, 63, 64, 65, 100, 300] as const;
const LARGE_LENGTHS = [4_096, 8_191, 8_192, 20_000, 70_000] as const;
const TIMES = [0, -1, 1, 1_793_491_200_000, -62_135_596_800_000, 8.64e15, -8.64e15, 2 ** 31, 2 ** 32, -(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53) + 1] as const;

/** A random record. */
export function randomRecord(random: Random): NewRecord {
  return { timestamp: randomTimestamp(random), key: randomPayload(random), value: randomPayload(random), headers: randomHeaders(random) };
}

/** The bytes that a payload stands for. */
export function bytesOf(payload: Payload | null): Uint8Array | null {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

function randomTimestamp(random: Random): number {
  if (random.below(4) === 0) return TIMES[random.below(TIMES.length)]!;
  return 1_793_491_200_000 + random.below(100_000) - 50_000;
}

function randomPayload(random: Random): Payload | null {
  const kind = random.below(6);
  if (kind === 0) return null;
  const length = random.below(60) === 0 ? LARGE_LENGTHS[random.below(LARGE_LENGTHS.length)]! : LENGTHS[random.below(LENGTHS.length)]!;
  if (kind === 1) return Uint8Array.from({ length }, () => random.below(256));
  const letters = kind === 2 ? LETTERS.length : kind === 3 ? 11 : 6;
  return Array.from({ length }, () => LETTERS[random.below(letters)]!).join("");
}

function randomHeaders(random: Random): HeaderField[] | null {
  if (random.below(2) === 0) return null;
  return Array.from({ length: random.below(4) }, () => ({ name: LETTERS[random.below(13)]!.repeat(random.below(20)), value: randomPayload(random) }));
}
