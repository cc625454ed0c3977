/** Where operators' commands find a process: its lock says address and token while it listens, and nothing of it can keep the app from running. */
import { afterAll, describe, expect, test } from "bun:test";
import { createApp, memory } from "../../../mod.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { adminPlaces, sayAdminPlace } from "../../../src/app/admin-place.ts";
import type { RunOptions } from "../../../src/app/app.ts";
import type { ObservedEvent } from "../../../src/observe/events.ts";
import { tempDirectory } from "../../shim/temp.ts";

const temp = tempDirectory();
afterAll(() => temp.remove());
const runtime = await hostRuntime();

/** Runs an app until `during` is through. */
async function whileRunning(options: RunOptions, during: (url: string) => void): Promise<readonly ObservedEvent[]> {
  const app = createApp("placed", { log: memory() });
  app.stream(app.topic("in")).forEach(() => {});
  const events: ObservedEvent[] = [];
  const stop = new AbortController();
  await app.run({
    port: 0,
    ...options,
    signal: stop.signal,
    observer: (event) => void events.push(event),
    onStart: ({ url }) => {
      during(url!);
      stop.abort();
    },
  });
  return events;
}

describe("adminPlaces()", () => {
  test("run() is found while it listens, with its token, and not afterwards", async () => {
    const directory = `${temp.path}/alone`;

    await whileRunning({ directory, token: "hunter2" }, (url) => {
      expect(adminPlaces(runtime, directory)).toEqual([{ app: "placed", url, token: "hunter2", processId: expect.any(Number) }]);
    });

    expect(adminPlaces(runtime, directory)).toEqual([]);
  });

  test("an address that stands for all of a machine's is given as one that can be asked", async () => {
    const directory = `${temp.path}/wide`;

    await whileRunning({ directory, token: "hunter2", host: "0.0.0.0" }, (url) => {
      expect(adminPlaces(runtime, directory).map((place) => place.url)).toEqual([`http://127.0.0.1:${new URL(url).port}`]);
    });
  });

  test("workers are found below their directory, each by its own", () => {
    const directory = `${temp.path}/several`;
    const off = [0, 3].map((index) => sayAdminPlace(runtime, `${directory}/worker-${index}`, { app: "placed", url: `http://127.0.0.1:${index}`, token: null }, () => {}));

    expect(adminPlaces(runtime, directory).map(({ url, token }) => [url, token])).toEqual([["http://127.0.0.1:0", null], ["http://127.0.0.1:3", null]]);
    for (const one of off) one();
    expect(adminPlaces(runtime, directory)).toEqual([]);
  });

  test("an app that does not listen is not found, and an empty place is no fault", async () => {
    const directory = `${temp.path}/mute`;

    await whileRunning({ directory, port: null }, () => expect(adminPlaces(runtime, directory)).toEqual([]));
    expect(adminPlaces(runtime, `${temp.path}/nowhere`)).toEqual([]);
  });

  test("an app whose place another holds runs all the same, and warns with the way out", async () => {
    const directory = `${temp.path}/held`;
    const other = runtime.disk(directory).lock("admin", { url: "http://127.0.0.1:1" });
    let own = "";

    const events = await whileRunning({ directory }, (url) => void (own = url));
    other.release();

    expect(events.filter(({ type }) => type === "warning")).toEqual([
      expect.objectContaining({ message: expect.stringContaining(`--url ${own}`), error: expect.objectContaining({ code: "DISK_LOCKED" }) }),
    ]);
  });
});
