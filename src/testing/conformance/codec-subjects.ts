/** What is known of each codec of the package: values it keeps, values it refuses, bytes it refuses. */
import type { Codec } from "../../record/codec.ts";
import { json, JSON_DEPTH_MAX } from "../../record/codec-json.ts";
import { msgpack, MSGPACK_DEPTH_MAX } from "../../record/codec-msgpack.ts";
import { bytes, text } from "../../record/codec-text.ts";

/** A codec and what it claims. Functions, so that each case has values of its own. */
export interface CodecSubject {
  readonly codec: Codec<unknown, unknown>;
  /** Values the codec claims to keep. */
  readonly keeps: () => readonly unknown[];
  /** Values it refuses to write. */
  readonly refusesValues: () => readonly unknown[];
  /** Bytes it refuses to read. */
  readonly refusesBytes: () => readonly Uint8Array[];
  /** Bytes of other writers, and what they mean. */
  readonly reads: () => readonly (readonly [bytes: Uint8Array, value: unknown])[];
  /** Bytes that try to do harm; refused or read, they do none. */
  readonly hostile: () => readonly Uint8Array[];
}

const TEXTS: readonly string[] = ["", "a", "\0", "\ufeff", "\ufeffa", "é€\u{1f600}", "line\nline", '"\\/', "x".repeat(3_000), "é".repeat(3_000), "__proto__"];
const PLAIN: readonly unknown[] = [null, true, false, 0, -1, 1.5, -1e-300, 1e300, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1, ...TEXTS, [], {}, [[[]]], [
  null,
  [1, "a"],
], { "": 1, "a b": { c: [] } }];

/** A value in so many arrays. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

function cycle(): unknown {
  const value: { self?: unknown } = {};
  value.self = [value];
  return value;
}

function utf8(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

const NOT_UTF8: readonly Uint8Array[] = [[0x80], [0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]].map((one) => new Uint8Array(one));

/** `json()`. */
export const jsonSubject: CodecSubject = {
  codec: json<unknown>(),
  keeps: () => [...PLAIN, nested(JSON_DEPTH_MAX), Array.from({ length: 2_000 }, (_item, i) => ({ i, t: "[{" })), { many: "[".repeat(2_000) }, [
    '"[\\'.repeat(3_000),
  ]],
  refusesValues: () => [undefined, () => 1, Symbol("s"), 1n, [1n], cycle()],
  refusesBytes: () => [
    ...NOT_UTF8,
    ...["", " ", "{", "[1,]", "{'a':1}", "NaN", "01", "\ufeff{}", "{} {}", '"\n"', '"\\u12"', `"${"\\".repeat(3_001)}"`].map(utf8),
    utf8("[".repeat(100_000)),
    utf8("[".repeat(JSON_DEPTH_MAX + 1) + "]".repeat(JSON_DEPTH_MAX + 1)),
    utf8('{"a":'.repeat(300_000) + "1" + "}".repeat(300_000)),
    utf8(`[${'"[",'.repeat(500)}${"[".repeat(JSON_DEPTH_MAX)}${"]".repeat(JSON_DEPTH_MAX)}]`),
    utf8(`["\\\\",${"[".repeat(JSON_DEPTH_MAX)}${"]".repeat(JSON_DEPTH_MAX)}]`),
  ],
  reads: () => [[utf8(' {"a" :\t[1e2, "\\u00e9\\ud83d\\ude00"]}\r\n'), { a: [100, "é\u{1f600}"] }], [utf8('{"a":1,"a":2}'), { a: 2 }]],
  hostile: () =>
    ['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '[{"a":{"__proto__":{"polluted":1}}}]', '{"then":1}', '{"toJSON":1}'].map(
      utf8,
    ),
};

/** Values beyond JSON's. Each call makes new ones. */
function rich(): readonly unknown[] {
  return [
    undefined,
    [undefined],
    { a: undefined },
    NaN,
    [Infinity, -Infinity],
    ...[0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, 2n ** 64n, 2n ** 200n, -(2n ** 200n) + 1n],
    ...[0, 1, -1, 1_793_491_200_123, -62_135_596_800_001, 8.64e15, -8.64e15, NaN].map((time) => new Date(time)),
    new Map(),
    new Map<unknown, unknown>([["a", 1], [1, "number"], ["1", "text"], [null, new Map([[{ k: 1 }, new Set([new Map()])]])]]),
    { deep: [new Set([new Map([["x", new Date(5)]])])], plain: { deep: [1] } },
    new Map(Array.from({ length: 1_000 }, (_item, i) => [i, { i }])),
    new Set(),
    new Set<unknown>([1, "1", null, [1]]),
    new Error("plain"),
    new TypeError("with a cause", { cause: { code: 5 } }),
    Object.assign(new Error("named"), { name: "OwnError" }),
    new AggregateError([], "several"),
    /a[/]b/giu,
    new Uint8Array([0, 1, 255]),
    new Uint8Array(10_000).fill(7),
    { bytes: new Uint8Array([1, 2, 3]).subarray(1), floats: new Float64Array([1.5, NaN]), longs: new BigInt64Array([-5n]) },
    new ArrayBuffer(3),
    Object.fromEntries(Array.from({ length: 70_000 }, (_item, i) => [`k${i}`, i])),
  ];
}

/** `msgpack()`. */
export const msgpackSubject: CodecSubject = {
  codec: msgpack<unknown>(),
  keeps: () => [...PLAIN, ...rich(), nested(MSGPACK_DEPTH_MAX)],
  refusesValues:
    () => [() => 1, Symbol("s"), { a: [() => 1] }, new Map([["f", () => 1]]), new Set([Symbol("s")]), cycle(), nested(MSGPACK_DEPTH_MAX + 2), nested(200_000)],
  refusesBytes: () => [
    new Uint8Array(0),
    // Cut array, cut text, cut map, unused extension, bytes after the value, a map of ours without its last value, one that is no list.
    ...[[0x92, 1], [0xa5, 97], [0x81, 0xa1, 97], [0xd4, 0x50, 0], [1, 1], [0xd4, 0x6d, 0, 0x91, 1], [0xd4, 0x6d, 0, 5], [0xc6, 0xff, 0xff, 0xff, 0xff], [
      0xdd,
      0xff,
      0xff,
      0xff,
      0xff,
    ]].map((one) => new Uint8Array(one)),
    new Uint8Array(100_000).fill(0x91),
    new Uint8Array(5_000_000).fill(0x81),
    new Uint8Array(MSGPACK_DEPTH_MAX + 3).fill(0x91, 0, -1),
    // Sets and errors within each other.
    new Uint8Array(3_000_000).map((_byte, i) => [0xd4, 0x73, 0][i % 3]!),
    new Uint8Array(30_000).map((_byte, i) => [0xd4, 0x65, 0, 0x91][i % 4]!),
  ],
  reads: () => [
    [new Uint8Array([0xc4, 3, 1, 2, 3]), new Uint8Array([1, 2, 3])],
    [new Uint8Array([0xc5, 0, 1, 9]), new Uint8Array([9])],
    [new Uint8Array([0xde, 0, 1, 0xd9, 1, 97, 0xca, 0x3f, 0xc0, 0, 0]), { a: 1.5 }],
    [new Uint8Array([0x81, 5, 0xcf, 0, 0, 0, 0, 0, 0, 0, 7]), { 5: 7n }],
    [new Uint8Array([0xd6, 0xff, 0, 0, 0, 1]), new Date(1_000)],
  ],
  hostile: () => [
    new Uint8Array([0x81, 0xa9, ...utf8("__proto__"), 0x81, 0xa8, ...utf8("polluted"), 1]),
    new Uint8Array([0x81, 0xab, ...utf8("constructor"), 0x81, 0xa9, ...utf8("prototype"), 0x81, 0xa8, ...utf8("polluted"), 1]),
    // A record definition with that key, and errors with the names of globals.
    new Uint8Array([0xd4, 0x72, 0x40, 0x91, 0xa9, ...utf8("__proto__"), 0x81, 0xa8, ...utf8("polluted"), 1]),
    ...["eval", "Function", "constructor", "__proto__", "valueOf"].map((name) =>
      new Uint8Array([0xd4, 0x65, 0, 0x93, 0xa0 + name.length, ...utf8(name), 0xb7, ...utf8("globalThis.polluted = 1"), 0xc0])
    ),
  ],
};

/** `text()`. */
export const textSubject: CodecSubject = {
  codec: text() as Codec<unknown, unknown>,
  keeps: () => TEXTS,
  refusesValues: () => [undefined, null, 1, {}, new Uint8Array(1), ["a"]],
  refusesBytes: () => NOT_UTF8,
  reads: () => [[utf8("plain"), "plain"]],
  hostile: () => [],
};

/** `bytes()`. */
export const bytesSubject: CodecSubject = {
  codec: bytes() as Codec<unknown, unknown>,
  keeps: () => [new Uint8Array(0), new Uint8Array([0, 127, 128, 255]), new Uint8Array(5_000).fill(3)],
  refusesValues: () => [undefined, null, "a", 1, [1], new ArrayBuffer(1), new DataView(new ArrayBuffer(1)), new Uint16Array(1)],
  refusesBytes: () => [],
  reads: () => [],
  hostile: () => [],
};
