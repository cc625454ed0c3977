/**
 * Writes `src/sqlite/vfs.wasm`, the small module between SQLite and JavaScript: `node scripts/build-vfs-shim.ts`, with `--check` only compares.
 *
 * Why WebAssembly and not JavaScript: only functions of a WebAssembly module can go into SQLite's function table; 64-bit offsets become doubles here instead of BigInts;
 * answers that never change need no JavaScript; and page checksums run at machine speed, alike on every runtime.
 *
 * A file of SQLite (`sqlite3_file`) has 8 bytes: the pointer to its methods, then the number under which JavaScript knows it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

type Bytes = readonly number[];

const I32 = 0x7f, I64 = 0x7e, F64 = 0x7c;
const PRIME_A = 0x9e3779b185ebca87n, PRIME_B = 0xc2b2ae3d27d4eb4fn, PRIME_C = 0x165667b19e3779f9n, PRIME_D = 0x85ebca77c2b2ae63n;
const SQLITE_NOTFOUND = 12, SQLITE_ROW = 100, SQLITE_DONE = 101;
/** Commits are padded to sectors of this size, so that none shares a sector with what is written after it. */
const SECTOR_BYTES = 4096;
const TWO_53 = 9_007_199_254_740_992;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    bytes.push((value & 127) | (value > 127 ? 128 : 0));
    value >>>= 7;
  } while (value !== 0);
  return bytes;
}

function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (;;) {
    const byte = Number(value & 127n);
    value >>= 7n;
    const isLast = (value === 0n && byte < 64) || (value === -1n && byte >= 64);
    bytes.push(isLast ? byte : byte | 128);
    if (isLast) return bytes;
  }
}

const text = (value: string): number[] => [...unsigned(value.length), ...new TextEncoder().encode(value)];
const list = (items: readonly Bytes[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, body: Bytes): number[] => [id, ...unsigned(body.length), ...body];

// Instructions, by their names in the specification.
const get = (local: number): Bytes => [0x20, ...unsigned(local)];
const set = (local: number): Bytes => [0x21, ...unsigned(local)];
const i32 = (value: number): Bytes => [0x41, ...signed(BigInt(value))];
const i64 = (value: bigint): Bytes => [0x42, ...signed(BigInt.asIntN(64, value))];
const f64 = (value: number): Bytes => [0x44, ...new Uint8Array(new Float64Array([value]).buffer)];
const loadI32 = (offset: number): Bytes => [0x28, 2, ...unsigned(offset)];
const loadI64 = (offset: number): Bytes => [0x29, 0, ...unsigned(offset)];
const storeI32: Bytes = [0x36, 2, 0];
const storeI64: Bytes = [0x37, 0, 0];
const i32Add = 0x6a, i32Sub = 0x6b, i32Eq = 0x46, i32LtU = 0x49, i32And = 0x71, f64Eq = 0x61, f64Le = 0x65, f64Abs = 0x99, f64Trunc = 0x9d;
const i64Add = 0x7c, i64Mul = 0x7e, i64Xor = 0x85, i64ShrU = 0x88, i64Rotl = 0x89, i64Eq = 0x51;
const i64TruncF64 = 0xb0, i64ExtendI32U = 0xad, f64ConvertI64 = 0xb9;
const ifI32 = [0x04, I32], otherwise = 0x05, end = 0x0b, loop = [0x03, 0x40], again = [0x0d, 0];

interface FunctionType {
  readonly from: Bytes;
  readonly to: Bytes;
}
const types: FunctionType[] = [];
function typeOf(from: Bytes, to: Bytes): number {
  const at = types.findIndex((type) => type.from.join() === from.join() && type.to.join() === to.join());
  return at >= 0 ? at : types.push({ from, to }) - 1;
}

const imports: { readonly module: string; readonly name: string; readonly type: number }[] = [];
const functions: { readonly type: number; readonly locals: Bytes; readonly code: Bytes }[] = [];
const exported: { readonly name: string; readonly index: number }[] = [];

function fromHost(module: "host" | "sqlite", name: string, from: Bytes, to: Bytes = [I32]): Bytes {
  imports.push({ module, name, type: typeOf(from, to) });
  return [0x10, ...unsigned(imports.length - 1)];
}
/** Defines a function, after all imports, and returns the instruction that calls it. */
function define(name: string | null, from: Bytes, to: Bytes, code: readonly (Bytes | number)[], locals: Bytes = []): Bytes {
  functions.push({ type: typeOf(from, to), locals, code: code.flat() });
  const index = imports.length + functions.length - 1;
  if (name !== null) exported.push({ name, index });
  return [0x10, ...unsigned(index)];
}

// Methods of the VFS go to JavaScript as they are.
for (const [name, count] of [["open", 5], ["delete", 3], ["access", 4], ["fullPathname", 4], ["randomness", 3], ["currentTime", 2]] as const) {
  fromHost("host", name, Array<number>(count).fill(I32));
  exported.push({ name, index: imports.length - 1 });
}
const hostClose = fromHost("host", "close", [I32]);
const hostRead = fromHost("host", "read", [I32, I32, I32, F64]);
const hostWrite = fromHost("host", "write", [I32, I32, I32, F64]);
const hostTruncate = fromHost("host", "truncate", [I32, F64]);
const hostSync = fromHost("host", "sync", [I32, I32]);
const hostFileSize = fromHost("host", "fileSize", [I32, I32]);
const sqliteStep = fromHost("sqlite", "sqlite3_step", [I32]);
const sqliteReset = fromHost("sqlite", "sqlite3_reset", [I32]);
const sqliteBindInt64 = fromHost("sqlite", "sqlite3_bind_int64", [I32, I32, I64]);
const sqliteBindDouble = fromHost("sqlite", "sqlite3_bind_double", [I32, I32, F64]);
const sqliteColumnBlob = fromHost("sqlite", "sqlite3_column_blob", [I32, I32]);
const sqliteColumnText = fromHost("sqlite", "sqlite3_column_text", [I32, I32]);
const sqliteColumnBytes = fromHost("sqlite", "sqlite3_column_bytes", [I32, I32]);

// Methods of a file: its number instead of its address, a double instead of a 64-bit integer.
const id: Bytes = [...get(0), ...loadI32(4)];
define("fileClose", [I32], [I32], [id, hostClose]);
define("fileRead", [I32, I32, I32, I64], [I32], [id, get(1), get(2), get(3), f64ConvertI64, hostRead]);
define("fileWrite", [I32, I32, I32, I64], [I32], [id, get(1), get(2), get(3), f64ConvertI64, hostWrite]);
define("fileTruncate", [I32, I64], [I32], [id, get(1), f64ConvertI64, hostTruncate]);
define("fileSync", [I32, I32], [I32], [id, get(1), hostSync]);
define("fileSize", [I32, I32], [I32], [id, get(1), hostFileSize]);
define("fileLock", [I32, I32], [I32], [i32(0)]);
define("fileCheckReservedLock", [I32, I32], [I32], [get(1), i32(0), storeI32, i32(0)]);
define("fileControl", [I32, I32, I32], [I32], [i32(SQLITE_NOTFOUND)]);
define("fileSectorSize", [I32], [I32], [i32(SECTOR_BYTES)]);
define("fileCharacteristics", [I32], [I32], [i32(0)]);
define("nothing3", [I32, I32, I32], [I32], [i32(0)]);

// The checksum of a page: all but its last 8 bytes, in four lanes of xor, rotate and multiply. Each step is a bijection, so damage within one 8-byte word is always found; any
// other damage is missed with a chance of 2^-64. The seed (page number) finds pages that were read from, or written to, the wrong place.
const mix = (lane: number, word: Bytes, prime: bigint): Bytes => [...get(lane), ...word, i64Xor, ...i64(29n), i64Rotl, ...i64(prime), i64Mul, ...set(lane)];
const word = (offset: number): Bytes => [...get(0), ...loadI64(offset)];
const primes = [PRIME_A, PRIME_B, PRIME_C, PRIME_D] as const;
const A = 3, B = 4, C = 5, D = 6, STOP = 7, SEED = 8;
const hash = define(null, [I32, I32, I32], [I64], [
  get(2), i64ExtendI32U, i64(1n), i64Add, i64(PRIME_B), i64Mul, set(SEED),
  ...[A, B, C, D].map((lane, at) => [...get(SEED), ...i64(primes[at]!), i64Add, ...set(lane)]),
  get(0), get(1), i32Add, i32(32), i32Sub, set(STOP),
  loop,
  ...[A, B, C, D].map((lane, at) => mix(lane, word(8 * at), primes[at]!)),
  get(0), i32(32), i32Add, set(0),
  get(0), get(STOP), i32LtU, again, end,
  ...[A, B, C].map((lane, at) => mix(lane, word(8 * at), primes[at]!)),
  ...[A, B, C, D].map((lane) => mix(SEED, get(lane), PRIME_A)),
  get(SEED), get(SEED), i64(32n), i64ShrU, i64Xor,
], [4, I64, 1, I32, 1, I64]);
define("seal", [I32, I32, I32, I32], [], [get(3), get(0), get(1), get(2), hash, storeI64]);
define("check", [I32, I32, I32, I32], [I32], [get(3), loadI64(0), get(0), get(1), get(2), hash, i64Eq]);

// What the hot path of a statement would need two calls or a BigInt for.
// 0 at the end; of a statement that failed, or was finalized, the code of the step, for a reset may have forgotten it.
const finish = define(null, [I32, I32], [I32], [get(0), sqliteReset, set(2), get(1), i32(SQLITE_DONE), i32Eq, ifI32, get(2), otherwise, get(1), end], [1, I32]);
define("run", [I32], [I32], [loop, get(0), sqliteStep, set(1), get(1), i32(SQLITE_ROW), i32Eq, again, end, get(0), get(1), finish], [1, I32]);
define("step", [I32], [I32], [get(0), sqliteStep, set(1), get(1), i32(SQLITE_ROW), i32Eq, ifI32, get(1), otherwise, get(0), get(1), finish, end], [1, I32]);
const isWhole: Bytes = [...get(2), ...get(2), f64Trunc, f64Eq, ...get(2), f64Abs, ...f64(TWO_53), f64Le, i32And];
define("bindNumber", [I32, I32, F64], [I32], [
  isWhole, ifI32, get(0), get(1), get(2), i64TruncF64, sqliteBindInt64, otherwise, get(0), get(1), get(2), sqliteBindDouble, end,
]);
for (const [name, column] of [["columnBlob", sqliteColumnBlob], ["columnText", sqliteColumnText]] as const) {
  define(name, [I32, I32, I32], [I32], [get(0), get(1), column, set(3), get(2), get(0), get(1), sqliteColumnBytes, storeI32, get(3)], [1, I32]);
}

function assemble(): Uint8Array {
  const memory: Bytes = [...text("env"), ...text("memory"), 2, 0, 1];
  const body = (locals: Bytes, code: Bytes): Bytes => {
    const bytes = [...unsigned(locals.length / 2), ...locals, ...code, end];
    return [...unsigned(bytes.length), ...bytes];
  };
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(types.map(({ from, to }) => [0x60, ...unsigned(from.length), ...from, ...unsigned(to.length), ...to]))),
    ...section(2, list([...imports.map(({ module, name, type }) => [...text(module), ...text(name), 0, ...unsigned(type)]), memory])),
    ...section(3, list(functions.map(({ type }) => unsigned(type)))),
    ...section(7, list(exported.map(({ name, index }) => [...text(name), 0, ...unsigned(index)]))),
    ...section(10, list(functions.map(({ locals, code }) => body(locals, code)))),
  ]);
}

const target = new URL("../src/sqlite/vfs.wasm", import.meta.url);
const bytes = assemble();
if (!WebAssembly.validate(bytes)) throw new Error("The assembled module is not valid WebAssembly");
if (process.argv.includes("--check")) {
  const stored = readFileSync(target);
  if (stored.length !== bytes.length || stored.some((byte, at) => byte !== bytes[at])) throw new Error("src/sqlite/vfs.wasm differs: run node scripts/build-vfs-shim.ts");
} else writeFileSync(target, bytes);
