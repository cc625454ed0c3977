import { describe, expect, test } from "bun:test";
import { StoreError } from "../../../src/base/errors.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { listener, member, output, refusal, texts, topicSpec, unit, valuesOf } from "../../../src/testing/conformance/log-subject.ts";
import { testRuntime, warnings } from "./log-fixture.ts";

describe("memoryLog()", () => {
  test("L4 commit() stands when apply() throws, and the error comes through", async () => {
    const { runtime } = await testRuntime();
    const log = memoryLog(runtime);
    await log.ensureTopics([topicSpec("in"), topicSpec("out")]);
    const membership = await member(log, "g", "in");
    const full = new StoreError("STORE_FULL", "[memory] full");
    const commit = (value: string, thrown: unknown): unknown =>
      log.commit(unit(membership, { outputs: [output("out", 0, value)] }), () => {
        throw thrown;
      });

    const same = await refusal(log, "STORE_FULL", "an error of ours", () => commit("a", full));
    const foreign = await refusal(log, "INVARIANT", "a foreign error", () => commit("b", new RangeError("no")));

    expect(same).toBe(full);
    expect(foreign.cause).toBeInstanceOf(RangeError);
    expect(await valuesOf(log, "out")).toEqual(["a", "b"]);
  });

  test("retention says what a stopped group loses, and holds back by age what a running one has not read", async () => {
    const { runtime, advance } = await testRuntime();
    const { heard, onWarning } = warnings();
    const log = memoryLog(runtime, { onWarning });
    await log.ensureTopics([topicSpec("a", { retention: { ageMs: 1_000 } })]);
    const membership = await member(log, "g", "a");
    await log.append([{ topic: "a", partition: 0, records: texts("1") }]);
    log.commit(unit(membership, { positions: [{ topic: "a", partition: 0, position: 0 }] }), () => {});

    advance(5_000);
    await log.append([{ topic: "a", partition: 0, records: texts("2") }]);
    const held = await valuesOf(log, "a");
    await membership.leave();
    await log.append([{ topic: "a", partition: 0, records: texts("3") }]);

    expect(held).toEqual(["1", "2"]);
    expect(await valuesOf(log, "a", 0, 1)).toEqual(["2", "3"]);
    expect(heard).toEqual(['[memory] Retention dropped records of "a" partition 0 from position 0 up to 1 before group "g" read them']);
  });

  test("retention by bytes keeps at least the bytes asked for", async () => {
    const { runtime } = await testRuntime();
    const log = memoryLog(runtime);
    await log.ensureTopics([topicSpec("a", { retention: { bytes: 600 } })]);

    for (let i = 0; i < 20; i++) await log.append([{ topic: "a", partition: 0, records: texts("x".repeat(200 + i)) }]);

    const [info] = await log.describe(["a"]);
    expect(info).toEqual({ topic: "a", partition: 0, start: 18, end: 20 });
  });

  test("L8 a member whose listener fails in assigned() is out, and join() says so", async () => {
    const { runtime } = await testRuntime();
    const log = memoryLog(runtime);
    await log.ensureTopics([topicSpec("a")]);
    const failing = listener("bad", [], {
      assigned() {
        throw new RangeError("no");
      },
    });

    await refusal(log, "HANDLER_FAILED", "join", () => log.join("g", ["a"], failing));
    const next = await member(log, "g", "a");

    expect(next.assigned).toEqual([{ topic: "a", partition: 0 }]);
  });

  test("L8 a listener that fails in revoked() does not stop the group", async () => {
    const { runtime } = await testRuntime();
    const { heard, onWarning } = warnings();
    const log = memoryLog(runtime, { onWarning });
    await log.ensureTopics([topicSpec("a", { partitions: 2 })]);
    const failing = listener("one", [], { revoked: () => Promise.reject(new RangeError("no")) });
    const first = await log.join("g", ["a"], failing);

    const second = await member(log, "g", "a");

    expect([first.assigned.length, second.assigned.length]).toEqual([1, 1]);
    expect(heard).toEqual(['[memory] Listener of member "g-1" failed in revoked: no']);
  });

  test("close() tells members that what they had is lost", async () => {
    const { runtime } = await testRuntime();
    const log = memoryLog(runtime);
    const heard: string[] = [];
    await log.ensureTopics([topicSpec("a")]);
    await log.join("g", ["a"], listener("one", heard));

    await log.close();

    expect(heard).toEqual(["one assigned a/0", "one lost a/0"]);
  });
});
