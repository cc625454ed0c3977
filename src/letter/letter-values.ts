/** Keys and values of letters for people, and what people give back as bytes. */
import { fromBase64, toBase64, toBytes } from "../base/bytes.ts";
import { isStreamError, StreamError } from "../base/errors.ts";
import { readUtf8 } from "../record/utf8.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import type { TopicDefinition, ValueFormat } from "../topology/node.ts";
import type { Letter } from "./letter.ts";

/** A value for people: decoded, or else text, or else base64; one of them. */
export type ShownValue = { readonly value: unknown } | { readonly valueText: string } | { readonly valueBase64: string } | { readonly tombstone: true };

/** A key for people. */
export type ShownKey = { readonly key: unknown } | { readonly keyBase64: string };

/** A value as an operator gives it: one of the three. */
export interface GivenValue {
  /** To be written as the topic writes its values. */
  readonly value?: unknown;
  readonly valueBase64?: string | undefined;
  readonly tombstone?: boolean | undefined;
  /** Takes it though the topic's schema does not. */
  readonly force?: boolean | undefined;
}

/** Whether a letter holds what a step saw, as MessagePack, not what lay in a topic. */
export function isOfStep({ kind, place }: Letter): boolean {
  return kind === "late" || /^(?:step|into):/.test(place.topic);
}

/** `topic`: where the letter comes from, where the app still has it; `bytes`: its own, or the newest edit. */
export async function shownValue(letter: Letter, topic: TopicDefinition | undefined, bytes: Uint8Array | null): Promise<ShownValue> {
  if (bytes === null) return { tombstone: true };
  const decoded = await attempt(() => isOfStep(letter) ? unpackValue(bytes) : topic === undefined ? parseJson(bytes) : decodePlain(topic.value, bytes));
  if (decoded !== undefined) return { value: decoded };
  const text = await attempt(() => readUtf8(bytes, 0, bytes.length));
  return text === undefined ? { valueBase64: toBase64(bytes) } : { valueText: text };
}

/** Synchronous: codecs of keys are. */
export function shownKey({ key, stepKey }: Letter, topic: TopicDefinition | undefined): ShownKey {
  if (stepKey !== undefined) return { key: stepKey };
  if (key === null) return { key: null };
  try {
    return { key: topic === undefined || topic.key.decode === null ? readUtf8(key, 0, key.length) : topic.key.decode(key) };
  } catch {
    return { keyBase64: toBase64(key) };
  }
}

/**
 * The bytes of a value that an operator gives for a letter; null is a tombstone. Rejects with `OPTION_INVALID` for what is not one value, with `CODEC_FAILED` or `SCHEMA_MISMATCH` (issues in its
 * details) for what the topic would not read.
 */
export async function givenBytes(given: GivenValue, letter: Letter, topic: TopicDefinition | undefined): Promise<Uint8Array | null> {
  const count = Number(given.value !== undefined) + Number(given.valueBase64 !== undefined) + Number(given.tombstone === true);
  if (count !== 1) {
    throw new StreamError("OPTION_INVALID", "user", `The edit of letter ${letter.id} gives ${count} values, wanted one of value, valueBase64 and tombstone.`);
  }
  if (given.tombstone === true) return null;
  const format = isOfStep(letter) ? { encode: packValue, decode: unpackValue } : topic?.value;
  const bytes = given.valueBase64 === undefined ? encoded(given, letter, format) : decodedBase64(given.valueBase64, letter);
  // What was sent is read as it will be: a schema may transform, or answer later.
  if (given.force !== true) await format?.decode(bytes);
  return bytes;
}

function encoded({ value, force }: GivenValue, { id }: Letter, format: ValueFormat | undefined): Uint8Array {
  try {
    return toBytes(format === undefined ? JSON.stringify(value) : format.encode(value)).slice();
  } catch (error) {
    if (force !== true || !isStreamError(error) || error.code !== "SCHEMA_MISMATCH") throw error;
    if (isJson(format)) return toBytes(JSON.stringify(value));
    const message = `Cannot write the value for letter ${id} past the schema of its topic: its codec is not JSON; give the bytes as valueBase64`;
    throw new StreamError("OPTION_INVALID", "user", message, { cause: error });
  }
}

function decodedBase64(text: string, { id }: Letter): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes === null) throw new StreamError("OPTION_INVALID", "user", `The valueBase64 for letter ${id} is not base64.`);
  return bytes;
}

/** What lies in the topic, not what its schema makes of it: that is what an edit replaces. */
function decodePlain(format: ValueFormat, bytes: Uint8Array): unknown {
  return isJson(format) ? parseJson(bytes) : format.decode(bytes);
}

/** The formats that topics are made of have a name. */
function isJson(format: ValueFormat | undefined): boolean {
  return (format as { readonly name?: string } | undefined)?.name === "json";
}

function parseJson(bytes: Uint8Array): unknown {
  return JSON.parse(readUtf8(bytes, 0, bytes.length));
}

/** undefined: it cannot be read so. */
async function attempt<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
