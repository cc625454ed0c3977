/** What every codec must do: C1–C6 of `src/record/codec.ts`, as data. */
import { toBytes } from "../../base/bytes.ts";
import { isThenable } from "../../base/awaitable.ts";
import { isStreamError } from "../../base/errors.ts";
import { Random } from "../../base/random.ts";
import type { Payload } from "../../record/record.ts";
import { type Case, check, checkThrows } from "./cases.ts";
import type { CodecSubject } from "./codec-subjects.ts";
import { isSameValue } from "./same-value.ts";

const SEED = 20261112;
const DAMAGES_PER_VALUE = 40;
/** Larger values would take too long to damage, or to list the properties of. */
const DAMAGED_BYTES_MAX = 4_000;

/** All cases. */
export const codecCases: readonly Case<CodecSubject>[] = [
  { name: "C1 decode(encode(value)) equals the value when the codec keeps it", run: keepsValues },
  { name: "C1 decode() reads what other writers of the format write", run: readsOthers },
  { name: "C2 encode() gives the same payload each time and leaves the value as it was", run: isPure },
  { name: "C2 encode() leaves payloads alone that it gave before", run: leavesPayloads },
  { name: "C3 decode() reads nothing around its bytes, changes none and leaves nothing on them", run: readsItsBytesAlone },
  { name: "C3 decode() gives a value that does not change when the bytes are overwritten", run: holdsNoBytes },
  { name: "C4 decode() throws CODEC_FAILED when bytes do not fit", run: refusesBytes },
  { name: "C4 decode() gives a value or CODEC_FAILED when bytes are cut or damaged, and works afterwards", run: survivesDamage },
  { name: "C5 encode() throws CODEC_FAILED when a value cannot be written, and works afterwards", run: refusesValues },
  { name: "C6 decode() changes no prototype, runs nothing and gives no promise when bytes are hostile", run: isHarmless },
];

function encoded({ codec }: CodecSubject, value: unknown): Uint8Array {
  return toBytes(codec["~codec"].encode(value));
}

function decoded({ codec }: CodecSubject, bytes: Uint8Array): unknown {
  return codec["~codec"].decode(bytes);
}

async function keepsValues(subject: CodecSubject): Promise<void> {
  for (const [i, value] of subject.keeps().entries()) check(isSameValue(decoded(subject, encoded(subject, value)), value), `value ${i} comes back changed`);
}

async function readsOthers(subject: CodecSubject): Promise<void> {
  for (const [i, [bytes, value]] of subject.reads().entries()) check(isSameValue(decoded(subject, bytes), value), `bytes ${i} are read as something else`);
}

async function isPure(subject: CodecSubject): Promise<void> {
  const untouched = subject.keeps();
  for (const [i, value] of subject.keeps().entries()) {
    const first = encoded(subject, value).slice();
    check(isSameValue(encoded(subject, value), first), `value ${i} is written in two ways`);
    check(isSameValue(value, untouched[i]), `value ${i} was changed`);
  }
}

async function leavesPayloads(subject: CodecSubject): Promise<void> {
  const values = subject.keeps();
  const payloads: Payload[] = values.map((value) => subject.codec["~codec"].encode(value));
  for (const [i, payload] of payloads.entries()) check(isSameValue(toBytes(payload), encoded(subject, values[i])), `payload ${i} was changed`);
}

async function readsItsBytesAlone(subject: CodecSubject): Promise<void> {
  for (const [i, value] of subject.keeps().entries()) {
    const bytes = encoded(subject, value);
    for (const around of [0, 0x22, 0xff]) {
      const frame = new Uint8Array(bytes.length + 40).fill(around);
      frame.set(bytes, 13);
      const view = frame.subarray(13, 13 + bytes.length);
      check(isSameValue(decoded(subject, view), value), `value ${i} depends on what lies around its bytes`);
      check(isSameValue(view, bytes), `the bytes of value ${i} were changed`);
      if (bytes.length <= DAMAGED_BYTES_MAX) check(Object.getOwnPropertyNames(view).length === bytes.length, `reading value ${i} left a property on its bytes`);
    }
  }
}

async function holdsNoBytes(subject: CodecSubject): Promise<void> {
  const kept = subject.keeps().map((value) => [encoded(subject, value).slice(), value] as const);
  for (const [i, [bytes, value]] of [...kept, ...subject.reads()].entries()) {
    const read = decoded(subject, bytes);
    bytes.fill(0x20);
    check(isSameValue(read, value), `value ${i} changed with its bytes`);
  }
}

async function refusesBytes(subject: CodecSubject): Promise<void> {
  for (const [i, bytes] of subject.refusesBytes().entries()) checkThrows(() => decoded(subject, bytes), "CODEC_FAILED", `bytes ${i}`);
}

async function survivesDamage(subject: CodecSubject): Promise<void> {
  const random = new Random(SEED);
  for (const [i, value] of subject.keeps().entries()) {
    const bytes = encoded(subject, value);
    if (bytes.length > DAMAGED_BYTES_MAX) continue;
    for (let damage = 0; damage < DAMAGES_PER_VALUE; damage++) {
      const damaged = bytes.slice(0, random.chance(0.5) ? random.below(bytes.length + 1) : bytes.length);
      for (let n = random.below(4); n > 0 && damaged.length > 0; n--) damaged[random.below(damaged.length)] = random.below(256);
      try {
        decoded(subject, damaged);
      } catch (error) {
        check(isStreamError(error) && error.code === "CODEC_FAILED", `seed ${SEED}, value ${i}, damage ${damage}: ${String(error)}`);
      }
    }
    check(isSameValue(decoded(subject, bytes), value), `value ${i} is not read after a failure`);
  }
}

async function refusesValues(subject: CodecSubject): Promise<void> {
  const kept = subject.keeps().at(-1);
  for (const [i, value] of subject.refusesValues().entries()) {
    checkThrows(() => encoded(subject, value), "CODEC_FAILED", `value ${i}`);
    check(isSameValue(decoded(subject, encoded(subject, kept)), kept), `a value is not written after refused value ${i}`);
  }
}

async function isHarmless(subject: CodecSubject): Promise<void> {
  const before = prototypes().map((prototype) => Object.getOwnPropertyNames(prototype).join());
  for (const [i, bytes] of subject.hostile().entries()) {
    let value: unknown = null;
    try {
      value = decoded(subject, bytes);
    } catch (error) {
      check(isStreamError(error) && error.code === "CODEC_FAILED", `bytes ${i}: ${String(error)}`);
    }
    check(!isThenable(value), `bytes ${i} give a promise`);
    check(!holdsFunction(value), `bytes ${i} give a function`);
    if (typeof value === "object" && value !== null) {
      check((value as { readonly polluted?: unknown }).polluted === undefined, `bytes ${i} set the prototype of their value`);
    }
  }
  const after = prototypes().map((prototype) => Object.getOwnPropertyNames(prototype).join());
  check(isSameValue(before, after) && ({} as { polluted?: unknown }).polluted === undefined, "a prototype was changed");
  check((globalThis as { polluted?: unknown }).polluted === undefined, "code was run");
}

function holdsFunction(value: unknown): boolean {
  return typeof value === "function" || (typeof value === "object" && value !== null && Object.values(value).some(holdsFunction));
}

function prototypes(): readonly object[] {
  return [Object.prototype, Array.prototype, Function.prototype, Error.prototype, Map.prototype];
}
