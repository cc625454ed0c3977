import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { runtimeCases, type VirtualRuntime, virtualRuntime } from "../../../src/testing/testing.ts";
import { registerCases } from "../../conformance/register.ts";

const host = await hostRuntime();

/** Moves time and turns on until the promise settles. */
async function settle<T>(runtime: VirtualRuntime, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  void promise.then(() => (isSettled = true), () => (isSettled = true));
  for (;;) {
    await host.yield();
    const waits = runtime.releaseYields() > 0 || runtime.nextTimerAt === Infinity;
    runtime.advance(waits ? 1 : runtime.nextTimerAt - runtime.monotonic());
    await host.yield();
    if (isSettled) return await promise;
  }
}

for (const yields of ["host", "caller"] as const) {
  registerCases(`the simulated runtime, with turns of the ${yields}`, runtimeCases, {
    open: () => {
      const runtime = virtualRuntime({ host, yields, disk: (directory) => host.disk(directory) });
      return { subject: { runtime, settle: (promise) => settle(runtime, promise) } };
    },
    has: Object.entries(virtualRuntime({ host }).capabilities).filter(([, has]) => has).map(([name]) => name),
  });
}

describe("virtualRuntime()", () => {
  test("advance() fires timers in order, each at its moment, and those that they set", () => {
    const runtime = virtualRuntime({ host, startAt: 1_000 });
    const fired: unknown[] = [];
    const say = (name: string) => (): unknown => fired.push([name, runtime.monotonic(), runtime.now()]);
    runtime.setTimer(say("c"), 20);
    runtime.setTimer(say("a"), 5);
    runtime.setTimer(() => {
      say("b")();
      runtime.setTimer(say("later"), 2.5);
    }, 5);
    runtime.setTimer(say("never"), 31);

    runtime.advance(30);

    expect(fired).toEqual([["a", 5, 1_005], ["b", 5, 1_005], ["later", 7.5, 1_007], ["c", 20, 1_020]]);
    expect([runtime.monotonic(), runtime.now(), runtime.nextTimerAt]).toEqual([30, 1_030, 31]);
  });

  test("jump() moves the wall clock alone", () => {
    const runtime = virtualRuntime({ host, startAt: 5_000 });

    runtime.jump(-4_000);

    expect([runtime.now(), runtime.monotonic()]).toEqual([1_000, 0]);
  });

  test("the seed decides what is random, and disks are kept by directory", () => {
    const [one, same, other] = [1, 1, 2].map((seed) => virtualRuntime({ host, seed }).randomBytes(8));
    const runtime = virtualRuntime({ host });

    expect(one).toEqual(same!);
    expect(one).not.toEqual(other!);
    expect(runtime.disk("a")).toBe(runtime.disk("a"));
    expect(runtime.disk("a")).not.toBe(runtime.disk("b"));
  });
});
