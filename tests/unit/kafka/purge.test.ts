/** The purge of done records: how often, how far, and what it does when it is refused. */
import { describe, expect, test } from "bun:test";
import { kafkaFailure, lostConnection } from "../../../adapters/kafka/failure.ts";
import { Purge } from "../../../adapters/kafka/purge.ts";
import type { CommittedPosition } from "../../../src/log/log.ts";

/** A purge on a clock of the test's. */
function bench(): {
  purge: Purge;
  calls: string[];
  warned: string[];
  now: (ms: number) => void;
  fail: (error: Error | null) => void;
  gate: (promise: Promise<void>) => void;
} {
  let nowMs = 0;
  let failure: Error | null = null;
  let gate: Promise<void> = Promise.resolve();
  const calls: string[] = [];
  const warned: string[] = [];
  const deleteRecords = async (below: readonly CommittedPosition[]): Promise<void> => {
    calls.push(below.map(({ topic, partition, position }) => `${topic}/${partition}<${position}`).join(" "));
    await gate;
    if (failure !== null) throw failure;
  };
  const purge = new Purge({ deleteRecords }, { monotonic: () => nowMs }, (message) => warned.push(message));
  return { purge, calls, warned, now: (ms) => nowMs = ms, fail: (error) => failure = error, gate: (promise) => gate = promise };
}

function at(topic: string, partition: number, position: number): CommittedPosition {
  return { topic, partition, position };
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

describe("Purge", () => {
  test("deletes below the last committed positions, every 30 seconds a topic, and only topics it was told of", async () => {
    const { purge, calls, now } = bench();
    purge.add("made");
    purge.committed([at("made", 0, 5), at("users", 0, 9)]);
    now(29_999);
    purge.committed([at("made", 1, 7), at("made", 2, 0)]);
    await settled();
    expect(calls).toEqual([]);

    now(30_000);
    purge.committed([at("made", 0, 6)]);
    await settled();
    purge.committed([at("made", 0, 8)]);
    await settled();
    expect(calls).toEqual(["made/0<6 made/1<7"]);

    now(60_000);
    purge.committed([]);
    await settled();
    expect(calls).toEqual(["made/0<6 made/1<7", "made/0<8"]);
  });

  test("never two requests at a time, and a commit does not wait", async () => {
    const { purge, calls, now, gate } = bench();
    const slow = Promise.withResolvers<void>();
    gate(slow.promise);
    purge.add("made");
    now(30_000);
    purge.committed([at("made", 0, 5)]);
    now(90_000);
    purge.committed([at("made", 0, 6)]);
    await settled();
    expect(calls).toEqual(["made/0<5"]);

    slow.resolve();
    await settled();
    purge.committed([at("made", 0, 7)]);
    await settled();
    expect(calls).toEqual(["made/0<5", "made/0<7"]);
  });

  test("trouble is told and tried again; a refusal is told once and for all", async () => {
    const { purge, calls, warned, now, fail } = bench();
    purge.add("made");
    fail(lostConnection("delete records", null));
    now(30_000);
    purge.committed([at("made", 0, 5)]);
    await settled();
    fail(kafkaFailure(29, "delete records"));
    now(60_000);
    purge.committed([at("made", 0, 6)]);
    await settled();
    now(90_000);
    purge.committed([at("made", 0, 7)]);
    await settled();

    expect(calls).toEqual(["made/0<5", "made/0<6"]);
    expect(warned).toEqual([
      '[kafka] Done records of topic "made" could not be deleted, and are tried again',
      '[kafka] Done records of topic "made" could not be deleted: they stay',
    ]);
  });

  test("stop() waits for what is under way and begins no more", async () => {
    const { purge, calls, now, gate } = bench();
    const slow = Promise.withResolvers<void>();
    gate(slow.promise);
    purge.add("made");
    now(30_000);
    purge.committed([at("made", 0, 5)]);
    let isStopped = false;
    const stopping = purge.stop().then(() => isStopped = true);
    await settled();
    expect(isStopped).toBe(false);

    slow.resolve();
    await stopping;
    now(90_000);
    purge.committed([at("made", 0, 6)]);
    await settled();
    expect(calls.length).toBe(1);
  });
});
