/** The host's own UTF-8 reader stands in for `TextDecoder`: it must give the same for any bytes, at any place of a buffer. */
import { expect, test } from "bun:test";
import { Random } from "../../src/base/random.ts";
import { readUtf8 } from "../../src/record/utf8.ts";
import { hostRuntime } from "../../adapters/host/host.ts";

const SEED = 20261120;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

test("readUtf8() gives on this host what a strict TextDecoder gives, and refuses what it refuses", async () => {
  await hostRuntime();
  const random = new Random(SEED);
  const pieces = ["a", "key-1", "ä", "€", "😀", "\ufeff", "\ufffd", "\0", '{"n":1}'].map((text) => new TextEncoder().encode(text));
  const damages = [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf0, 0x9f]].map((bytes) => new Uint8Array(bytes));
  for (let round = 0; round < 5_000; round++) {
    const parts = Array.from({ length: random.below(12) }, () => random.chance(0.03) ? random.pick(damages) : random.pick(pieces));
    const start = random.below(5);
    const bytes = new Uint8Array([...new Uint8Array(start).fill(0xff), ...parts.flatMap((part) => [...part]), 0xff]);
    const end = bytes.length - 1;
    expect({ round, text: outcome(() => readUtf8(bytes, start, end)) }).toEqual({ round, text: outcome(() => strict.decode(bytes.subarray(start, end))) });
  }
});

function outcome(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
