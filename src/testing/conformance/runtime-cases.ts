/** Conformance of a `Runtime`: R1–R6 and R8 of `src/runtime/runtime.ts`. Signals (R7) need a process of their own and are proven by the adapters' tests. */
import type { HashAlgorithm, Runtime } from "../../runtime/runtime.ts";
import type { Case } from "./cases.ts";
import { check, checkEqual, checkRejects } from "./cases.ts";
import { serveCases } from "./serve-cases.ts";
import { spawnCases } from "./spawn-cases.ts";

/** What a runtime case gets. */
export interface RuntimeSubject {
  readonly runtime: Runtime;
  /** Fulfils as the promise does; a runtime with virtual time moves it on meanwhile. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** An HTTP client, such as the host's `fetch`. Needs the capability `listens`. */
  request?(url: string, init?: RequestInit): Promise<Response>;
  /** The path of a program as `spawn-cases.ts` describes it. Needs the capability `spawns`. */
  readonly program?: string;
}

type RuntimeCase = Case<RuntimeSubject>;

const clockCases: readonly RuntimeCase[] = [
  {
    name: "R1 now() is whole milliseconds of this century, and monotonic() never goes back",
    async run({ runtime, settle }) {
      check(Number.isSafeInteger(runtime.now()) && runtime.now() > 946_684_800_000 && runtime.now() < 4_102_444_800_000, `now() is ${runtime.now()}`);
      let before = runtime.monotonic();
      for (let index = 0; index < 1_000; index++) {
        const after = runtime.monotonic();
        check(Number.isFinite(after) && after >= before, `monotonic() went from ${before} to ${after}`);
        before = after;
      }
      await settle(sleep(runtime, 3));
      check(runtime.monotonic() >= before + 3, `monotonic() went from ${before} to ${runtime.monotonic()} in 3 ms`);
    },
  },
  {
    name: "R2 setTimer() fires once, not at once and not before its delay",
    async run({ runtime, settle }) {
      for (const delayMs of [0, 1, 2, 5, 7.5]) {
        const start = runtime.monotonic();
        let fired = 0;
        const done = new Promise<number>((resolve) => {
          runtime.setTimer(() => {
            fired++;
            resolve(runtime.monotonic());
          }, delayMs);
        });
        checkEqual(fired, 0, "fired before setTimer() returned");
        const tookMs = (await settle(done)) - start;
        check(tookMs >= delayMs, `${delayMs} ms: fired after ${tookMs} ms`);
        await settle(sleep(runtime, 2));
        checkEqual(fired, 1, "times fired");
      }
    },
  },
  {
    name: "R2 a timer is not fired from a microtask",
    async run({ runtime, settle }) {
      let isFired = false;
      const timer = runtime.setTimer(() => (isFired = true), 0);
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
      checkEqual(isFired, false, "fired");
      timer.cancel();
      await settle(sleep(runtime, 1));
    },
  },
  {
    name: "R2 a cancelled timer never fires, and cancelling one that fired does nothing",
    async run({ runtime, settle }) {
      const fired: string[] = [];
      const early = runtime.setTimer(() => fired.push("early"), 0);
      const late = runtime.setTimer(() => fired.push("late"), 3);
      const kept = runtime.setTimer(() => fired.push("kept"), 3);
      early.cancel();
      late.cancel();
      late.cancel();
      await settle(sleep(runtime, 6));
      kept.cancel();
      checkEqual(fired, ["kept"], "fired");
    },
  },
  {
    name: "R2 a timer may be cancelled from within another",
    async run({ runtime, settle }) {
      const fired: string[] = [];
      const second = runtime.setTimer(() => fired.push("second"), 4);
      runtime.setTimer(() => {
        fired.push("first");
        second.cancel();
      }, 1);
      await settle(sleep(runtime, 8));
      checkEqual(fired, ["first"], "fired");
    },
  },
  {
    name: "R2 a delay beyond 2^31 - 1 ms does not fire at once, and one below 0 is 0",
    async run({ runtime, settle }) {
      const fired: string[] = [];
      const timers = [2 ** 31, 2 ** 33, Number.MAX_SAFE_INTEGER].map((delayMs) => runtime.setTimer(() => fired.push(String(delayMs)), delayMs));
      await settle(new Promise<void>((resolve) => void runtime.setTimer(resolve, -5)));
      await settle(sleep(runtime, 5));
      for (const timer of timers) timer.cancel();
      checkEqual(fired, [], "fired");
    },
  },
  {
    name: "R3 yield() fulfils after the microtasks that wait",
    async run({ runtime, settle }) {
      const order: string[] = [];
      const yielded = runtime.yield().then(() => order.push("yield"));
      let chain = Promise.resolve();
      for (let link = 0; link < 200; link++) chain = chain.then(() => undefined);
      const chained = chain.then(() => order.push("microtasks"));
      await settle(Promise.all([yielded, chained]));
      checkEqual(order, ["microtasks", "yield"], "order");
    },
  },
  {
    name: "R3 a loop of yield() lets timers fire",
    async run({ runtime, settle }) {
      let isFired = false;
      runtime.setTimer(() => (isFired = true), 1);
      const start = runtime.monotonic();
      while (!isFired && runtime.monotonic() - start < 5_000) await settle(runtime.yield());
      check(isFired, "the timer did not fire in 5 s of yields");
    },
  },
];

const bytesCases: readonly RuntimeCase[] = [
  {
    name: "R4 randomBytes() gives as many as asked for, different ones each time",
    async run({ runtime }) {
      checkEqual(runtime.randomBytes(0).length, 0, "none");
      const first = runtime.randomBytes(32);
      check(first instanceof Uint8Array && first.length === 32, "length");
      check(hexOf(first) !== hexOf(runtime.randomBytes(32)), "two calls differ");
      const many = runtime.randomBytes(100_000);
      checkEqual([many.length, new Set(many).size, new Set(many.subarray(90_000)).size], [100_000, 256, 256], "every byte occurs, to the end");
    },
  },
  {
    name: "R4 digest() agrees with FIPS 180-4, of a part of a buffer too",
    async run({ runtime, settle }) {
      const wanted: Readonly<Record<HashAlgorithm, string>> = {
        "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d",
        "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "SHA-512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      };
      for (const algorithm of ["SHA-1", "SHA-256", "SHA-512"] as const) {
        checkEqual(hexOf(await settle(runtime.digest(algorithm, textBytes("xabcx").subarray(1, 4)))), wanted[algorithm], algorithm);
      }
      checkEqual(hexOf(await settle(runtime.digest("SHA-1", new Uint8Array(0)))), "da39a3ee5e6b4b0d3255bfef95601890afd80709", "nothing");
    },
  },
  {
    name: "R4 hmac() agrees with RFC 4231 and RFC 2202, with keys that are empty or longer than a block",
    async run({ runtime, settle }) {
      const hmac = async (algorithm: HashAlgorithm, key: Uint8Array, data: string): Promise<string> =>
        hexOf(await settle(runtime.hmac(algorithm, key, textBytes(data))));
      checkEqual(await hmac("SHA-1", textBytes("Jefe"), "what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", "RFC 2202, case 2");
      checkEqual(
        await hmac("SHA-256", textBytes("Jefe"), "what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "RFC 4231, case 2",
      );
      checkEqual(
        await hmac("SHA-256", new Uint8Array(131).fill(0xaa), "Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "RFC 4231, case 6",
      );
      checkEqual(await hmac("SHA-256", new Uint8Array(0), ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", "empty key and data");
    },
  },
];

const codingCases: readonly RuntimeCase[] = [
  {
    name: "R5 decompress() undoes gzip and deflate",
    async run({ runtime, settle }) {
      for (const format of ["gzip", "deflate"] as const) {
        for (const data of [new Uint8Array(0), textBytes("hello"), runtime.randomBytes(70_000), new Uint8Array(300_000)]) {
          const packed = await settle(compress(format, data));
          checkEqual(hexOf(await settle(runtime.decompress(format, packed, data.length))), hexOf(data), `${format} of ${data.length} bytes`);
        }
      }
    },
  },
  {
    name: "R5 decompress() refuses bytes that don't fit with CODEC_FAILED",
    async run({ runtime, settle }) {
      for (const format of ["gzip", "deflate"] as const) {
        const packed = await settle(compress(format, textBytes("hello hello hello")));
        const damaged = packed.slice();
        damaged[damaged.length - 5] = (damaged[damaged.length - 5] ?? 0) ^ 255;
        const wrong = [new Uint8Array(0), textBytes("not compressed at all"), packed.subarray(0, packed.length - 1), packed.subarray(0, 5), damaged];
        for (const [index, bytes] of wrong.entries()) {
          await checkRejects(settle(runtime.decompress(format, bytes, 1_000_000)), "CODEC_FAILED", `${format} ${index}`);
        }
      }
    },
  },
  {
    name: "R5 decompress() stops with RECORD_TOO_LARGE when more comes out than it may",
    async run({ runtime, settle }) {
      for (const format of ["gzip", "deflate"] as const) {
        const packed = await settle(compress(format, new Uint8Array(20_000_000)));
        check(packed.length < 30_000, "it is a bomb");
        for (const bytesMax of [0, 1_000, 19_999_999]) {
          await checkRejects(settle(runtime.decompress(format, packed, bytesMax)), "RECORD_TOO_LARGE", `${format}, ${bytesMax}`);
        }
      }
    },
  },
];

const hostCases: readonly RuntimeCase[] = [
  {
    name: "env() of an unknown name is undefined",
    async run({ runtime }) {
      checkEqual(runtime.env("MILLRACE_CONFORMANCE_UNKNOWN"), undefined, "env()");
    },
  },
  {
    name: "wasm() gives compiled modules, the same ones each time",
    async run({ runtime, settle }) {
      for (const name of ["sqlite", "vfs"] as const) {
        const module = await settle(runtime.wasm(name));
        check(module instanceof WebAssembly.Module && WebAssembly.Module.exports(module).length > 0, `${name} is a module`);
        check(module === (await settle(runtime.wasm(name))), `${name} is compiled once`);
      }
    },
  },
  {
    name: "name and version are texts",
    async run({ runtime }) {
      check(/^[a-z]+$/.test(runtime.name) && runtime.version.length > 0, `${runtime.name} ${runtime.version}`);
    },
  },
];

/** The suite. */
export const runtimeCases: readonly Case<RuntimeSubject>[] = [...clockCases, ...bytesCases, ...codingCases, ...hostCases, ...serveCases, ...spawnCases];

function sleep(runtime: Runtime, delayMs: number): Promise<void> {
  return new Promise((resolve) => void runtime.setTimer(resolve, delayMs));
}

function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function compress(format: "gzip" | "deflate", data: Uint8Array): Promise<Uint8Array> {
  const stream = new Response(data as Uint8Array<ArrayBuffer>).body?.pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream ?? null).arrayBuffer());
}
