import { expect, test } from "bun:test";
import { FlushGate } from "../../../src/log/flush-gate.ts";

/** A device whose flushes the test ends one by one. */
function device(): { readonly flush: () => Promise<void>; readonly begun: PromiseWithResolvers<void>[] } {
  const begun: PromiseWithResolvers<void>[] = [];
  return {
    begun,
    flush() {
      const one = Promise.withResolvers<void>();
      begun.push(one);
      return one.promise;
    },
  };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

test("durable() waits for a flush that began after the write, and many waiters share it", async () => {
  const { flush, begun } = device();
  const gate = new FlushGate(flush, () => new Error("no"));
  const done: string[] = [];
  const wait = (name: string): void => {
    gate.wrote();
    void gate.durable().then(() => done.push(name));
  };

  wait("first");
  wait("second");
  wait("third");
  begun[0]!.resolve();
  await settle();
  const afterFirst = [...done];
  // Asked between: the second flush covers it, not the first one.
  void gate.durable().then(() => done.push("asked"));
  await settle();
  const beforeSecond = [...done];
  begun[1]!.resolve();
  await settle();

  expect([afterFirst, beforeSecond, done, begun.length]).toEqual([["first"], ["first"], ["first", "second", "third", "asked"], 2]);
});

test("durable() fulfils without a flush when nothing was written since the last", async () => {
  const { flush, begun } = device();
  const gate = new FlushGate(flush, () => new Error("no"));
  await gate.durable();
  gate.wrote();
  const waiting = gate.durable();
  begun[0]!.resolve();
  await waiting;

  await gate.durable();

  expect([begun.length, gate.running]).toEqual([1, null]);
});

test("D5 after a flush that failed everybody is refused, waiting or later", async () => {
  const { flush, begun } = device();
  const gate = new FlushGate(flush, (cause) => new Error(`broken: ${String(cause)}`));
  gate.wrote();
  const first = gate.durable();
  gate.wrote();
  const second = gate.durable();
  begun[0]!.reject("EIO");

  const outcomes = await Promise.allSettled([first, second, gate.durable()]);

  expect(outcomes.map((one) => one.status === "rejected" && (one.reason as Error).message)).toEqual(["broken: EIO", "broken: EIO", "broken: EIO"]);
  expect(begun.length).toBe(1);
});
