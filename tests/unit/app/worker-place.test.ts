/** Directories and ports of several processes, and the logs they cannot share. */
import { describe, expect, test } from "bun:test";
import { checkShared, directoryOf, portOf } from "../../../src/app/worker-place.ts";
import type { LogDriver } from "../../../src/log/driver.ts";
import type { Log } from "../../../src/log/log.ts";

describe("the place of a worker", () => {
  test("one alone has directory and port for itself; of several each has its own", () => {
    expect([directoryOf({ index: 0, count: 1 }, "data"), portOf({ index: 0, count: 1 }, 8080)]).toEqual(["data", 8080]);
    expect([directoryOf({ index: 0, count: 3 }, "data"), portOf({ index: 0, count: 3 }, 8080)]).toEqual(["data/worker-0", 8080]);
    expect([directoryOf({ index: 2, count: 3 }, "data"), portOf({ index: 2, count: 3 }, 8080)]).toEqual(["data/worker-2", 8082]);
  });

  test("port 0 stays any that is free, null stays none, and no worker listens beyond the last port", () => {
    expect([portOf({ index: 2, count: 3 }, 0), portOf({ index: 2, count: 3 }, null)]).toEqual([0, null]);
    expect(portOf({ index: 2, count: 3 }, 65_533)).toBe(65_535);
    expect(() => portOf({ index: 0, count: 3 }, 65_534)).toThrow("ports 65534 to 65536");
  });
});

describe("checkShared()", () => {
  const closed: string[] = [];
  const driver = (rebalances: boolean): LogDriver => ({
    "~log": "own",
    open: async ({ workerIndex }) => {
      const log = { capabilities: { rebalances }, close: async () => void closed.push("log") } as unknown as Log;
      return { log, database: null, place: `here ${workerIndex}` };
    },
  });
  const context = {} as Parameters<LogDriver["open"]>[0];

  test("several workers are refused by a log that does not rebalance, which is closed again, and taken by one that does", async () => {
    await expect(checkShared({ index: 1, count: 2 }, "shop", driver(false)).open(context)).rejects.toThrow('Cannot run 2 workers of "shop" on the own log');
    expect(closed).toEqual(["log"]);
    expect((await checkShared({ index: 1, count: 2 }, "shop", driver(true)).open(context)).place).toBe("here 1");
  });

  test("a driver that says it is for one process is refused before it is opened; one worker may have any", () => {
    const one: LogDriver = { ...driver(true), isOneProcess: true };

    expect(() => checkShared({ index: 0, count: 2 }, "shop", one)).toThrow("MILLRACE_LOG=kafka");
    expect(checkShared({ index: 0, count: 1 }, "shop", one)).toBe(one);
  });
});
