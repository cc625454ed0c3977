/** F10: a dead letter that cannot be written. Its record is never left out in silence, its position does not move, and once there is room again there is one letter. */
import { describe, expect, test } from "bun:test";
import { createApp, embedded, memory } from "../../../mod.ts";
import type { App, LogDriver, Topic } from "../../../mod.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import type { CommitReceipt, CommittedPosition, CommitUnit } from "../../../src/log/log.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { open, recordsOf, valuesOf } from "./harness.ts";

interface In {
  readonly k: string;
  readonly n: number;
}

/** Refuses commits with dead letters in them, as a cluster does whose topic is gone. */
class RefusingLog extends WrappedLog {
  isRefusing = true;
  refused = 0;

  override commit(unit: CommitUnit, apply: (positions: readonly CommittedPosition[]) => void): CommitReceipt | Promise<CommitReceipt> {
    if (this.isRefusing && unit.outputs.some(({ topic }) => topic === "in-dlq")) {
      this.refused++;
      throw new ExternalError("LOG_COMMIT_FAILED", 'Cannot commit: topic "in-dlq" is not there');
    }
    return this.inner.commit(unit, apply);
  }
}

function refusing(driver: LogDriver): LogDriver & { log: RefusingLog } {
  return {
    "~log": driver["~log"],
    log: undefined as unknown as RefusingLog,
    async open(context) {
      const opened = await driver.open(context);
      this.log = new RefusingLog(opened.log);
      return { ...opened, log: this.log };
    },
  };
}

function setUp(): { readonly app: App; readonly input: Topic<string, In, In> } {
  const app = createApp("t", { errors: { retry: false } });
  const input = app.topic<string, In>("in", { key: (value) => value.k });
  app.stream(input).map(({ n }) => {
    if (n === 2) throw new Error("poison");
    return n;
  }).to("out");
  return { app, input };
}

describe.each([["memory", memory], ["embedded", () => embedded({ disk: memoryDisk() })]] as const)("F10 on the %s log", (_, driverOf) => {
  test("F10 the position stays, health says why, nothing is left out, and it goes on when there is room again", async () => {
    const { app, input } = setUp();
    const driver = refusing(driverOf());
    const stand = await open(app, { driver });
    await input.send({ k: "a", n: 1 });
    await stand.drain();

    await input.send({ k: "a", n: 2 });
    await input.send({ k: "a", n: 3 });
    await stand.settle();
    await stand.engine.worker.commit().catch(() => {});
    for (let i = 0; i < 5; i++) await stand.advance(10_000);
    await stand.engine.worker.commit().catch(() => {});

    const positions = await stand.log.committed("t", [{ topic: "in", partition: 0 }]);
    expect(positions.map(({ position }) => position)).toEqual([1]);
    expect(stand.engine.health().status).not.toBe("ok");
    expect(stand.engine.health().reason).toContain("in-dlq");
    expect(driver.log.refused).toBeGreaterThan(1);
    expect([valuesOf(stand.log, "out"), recordsOf(stand.log, "in-dlq").length, stand.engine.worker.stats.skipped.size]).toEqual([[1], 0, 0]);

    driver.log.isRefusing = false;
    await stand.advance(60_000);
    await stand.drain();

    expect([valuesOf(stand.log, "out"), recordsOf(stand.log, "in-dlq").length]).toEqual([[1, 3], 1]);
    expect(stand.engine.health().status).toBe("ok");
    await stand.crash();
  });
});
