/**
 * The `Runtime` contract: all that a host gives. Nothing in `src/` reaches clock, timers, randomness, files, environment or network but through it.
 *
 * Invariants, each proven by the conformance suite on every implementation:
 *
 * - **R1** `monotonic()` never goes back and is not moved by changes of the wall clock; both clocks are in milliseconds, `now()` whole.
 * - **R2** A timer fires once, not before its delay, never synchronously; a cancelled one never.
 * - **R3** `yield()` fulfils in a later macrotask, after waiting I/O got its turn.
 * - **R4** `randomBytes` is cryptographically strong, except in the simulator, where the seed decides.
 * - **R5** `decompress` throws `DecodeError` `CODEC_FAILED` for bytes that don't fit, and stops with `RECORD_TOO_LARGE` before it holds more than `bytesMax`.
 * - **R6** `serve` resolves once connections are accepted, `port: 0` picks a free one; after `stop()` no request is begun and those under way are answered, within `drainMs`.
 * - **R7** `onSignal` handlers hear each SIGTERM and SIGINT; with one registered the process is not ended by them.
 * - **R8** `spawn` starts a process that shares the standard output and error. Messages between the two arrive whole and in order. Each hears when the other has ended, by kill -9 too; an end by
 *   `process.exit` takes the spawned ones along. Where `capabilities.spawns` is false, `spawn` and `parent` are not there.
 *
 * @module
 */
import type { Disk } from "./disk.ts";
import type { ParentProcess, SpawnedProcess, SpawnOptions } from "./processes.ts";

/** A pending timer. */
export interface Timer {
  /** Never fires after this. */
  cancel(): void;
}

/** A listening server. */
export interface Server {
  /** The address it listens on. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** Accepts no more; resolves when requests under way are answered or `drainMs` (default 5,000) is over. */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/** What to serve. */
export interface ServeOptions {
  /** Never rejects; the client's address is in `info` where the runtime knows it. */
  readonly fetch: (request: Request, info: { readonly remoteAddress: string | null }) => Promise<Response>;
  /** The address to listen on. */
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
}

/** What differs between runtimes. Code branches on these, never on `name`. */
export interface RuntimeCapabilities {
  /** `disk()` keeps files. */
  readonly keepsFiles: boolean;
  /** `serve()` listens. */
  readonly listens: boolean;
  /** `onSignal()` hears signals. */
  readonly hasProcess: boolean;
  /** `spawn()` starts processes. */
  readonly spawns: boolean;
}

/** Hash functions for {@linkcode Runtime.hmac} and {@linkcode Runtime.digest}. */
export type HashAlgorithm = "SHA-1" | "SHA-256" | "SHA-512";

/** What a host gives. */
export interface Runtime {
  /** `node`, `bun`, `deno`, `workerd`, `simulated`. For people; never branched on. */
  readonly name: string;
  /** The host's version, for people. */
  readonly version: string;
  /** What it can do. */
  readonly capabilities: RuntimeCapabilities;
  /** Wall clock, whole milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some moment, with fractions; never goes back. */
  monotonic(): number;
  /** Calls `fn` once after `delayMs` (at least 0; longer than 2^31 - 1 works too). */
  setTimer(fn: () => void, delayMs: number): Timer;
  /** Lets the host do other work; fulfils in a later macrotask. */
  yield(): Promise<void>;
  /** So many bytes that nobody can guess (R4). */
  randomBytes(length: number): Uint8Array;
  /** The hash of some bytes. */
  digest(algorithm: HashAlgorithm, data: Uint8Array): Promise<Uint8Array>;
  /** The keyed hash of some bytes. */
  hmac(algorithm: HashAlgorithm, key: Uint8Array, data: Uint8Array): Promise<Uint8Array>;
  /** Undoes an HTTP content coding. */
  decompress(format: "gzip" | "deflate", data: Uint8Array, bytesMax: number): Promise<Uint8Array>;
  /** An environment variable. */
  env(name: string): string | undefined;
  /** The files below `directory`. */
  disk(directory: string): Disk;
  /** A compiled module of the package: SQLite, or the trampolines of its VFS. */
  wasm(name: "sqlite" | "vfs"): Promise<WebAssembly.Module>;
  /** Listens for HTTP (R6). */
  serve(options: ServeOptions): Promise<Server>;
  /** Hears SIGTERM and SIGINT until the returned function is called. */
  onSignal(handler: (signal: "SIGTERM" | "SIGINT") => void): () => void;
  /** Starts a process that belongs to this one (R8); not there without the capability `spawns`. Never throws: what could not be started has ended with a `failure`. */
  readonly spawn?: (options: SpawnOptions) => SpawnedProcess;
  /** The process that started this one by its own `spawn`; null or missing: nobody did. */
  readonly parent?: ParentProcess | null;
  /** Writes a line for people or tools. */
  print(line: string, stream?: "out" | "error"): void;
}
