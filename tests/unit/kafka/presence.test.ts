/** Whether a cluster answers, as health tells it: when it is asked, when its silence is trouble, and that one answer ends it. */
import { describe, expect, test } from "bun:test";
import { lostConnection } from "../../../adapters/kafka/failure.ts";
import { Presence } from "../../../adapters/kafka/presence.ts";

/** A presence on a clock of the test's, and a cluster that answers or not. */
function bench(): { presence: Presence; asked: () => number; answer: (isThere: boolean) => void; pass: (ms: number) => Promise<void>; timers: () => number } {
  let nowMs = 0, asked = 0, isThere = true;
  const timers = new Map<() => void, number>();
  const probe = async (): Promise<void> => {
    asked++;
    if (!isThere) throw lostConnection("reach a broker", new Error("refused"));
  };
  const setTimer = (fire: () => void, delayMs: number): { cancel(): void } => {
    timers.set(fire, nowMs + delayMs);
    return { cancel: () => void timers.delete(fire) };
  };
  const presence = new Presence({ probe }, { monotonic: () => nowMs, setTimer });
  const pass = async (ms: number): Promise<void> => {
    for (const until = nowMs + ms; nowMs < until;) {
      nowMs += 100;
      for (const [fire, at] of [...timers]) {
        if (at > nowMs) continue;
        timers.delete(fire);
        fire();
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  return { presence, asked: () => asked, answer: (is) => isThere = is, pass, timers: () => timers.size };
}

describe("Presence", () => {
  test("F24 silence of three seconds is trouble, told with its reason, and the first answer ends it", async () => {
    const { presence, answer, pass } = bench();
    await pass(10_000);
    expect(presence.trouble).toBe(null);

    answer(false);
    await pass(4_900);
    expect(presence.trouble).toBe(null);
    await pass(1_200);
    expect(presence.trouble).toBe("[kafka] Cannot reach a broker: no answer from the broker (refused)");
    await pass(30_000);
    expect(presence.trouble).not.toBe(null);
    answer(true);
    await pass(1_000);
    expect(presence.trouble).toBe(null);
  });

  test("asks every five seconds, every second while nobody answers, and no more after stop()", async () => {
    const { presence, asked, answer, pass, timers } = bench();
    await pass(20_000);
    expect(asked()).toBe(4);
    answer(false);
    await pass(15_000);
    expect(asked()).toBe(15);

    presence.stop();
    await pass(20_000);
    expect([asked(), timers()]).toEqual([15, 0]);
  });
});
