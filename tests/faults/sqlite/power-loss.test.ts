/** Power is lost before any operation of the disk; each sector that was not synced is kept, lost or garbage, on its own. */
import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { Random } from "../../../src/base/random.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import type { FaultyDiskOptions } from "../../../src/testing/faulty-disk.ts";
import { inspect, openBank, transact } from "./workload.ts";
import type { Progress } from "./workload.ts";

const runtime = await hostRuntime();
/** Devices after a loss of power, for each point of it; more by `MILLRACE_CRASHES`. */
const imagesAPoint = Number(runtime.env("MILLRACE_CRASHES") ?? 1);
const TRANSACTIONS = 24;

const weights = [
  ["any fate", { kept: 1, lost: 1, garbage: 1 }],
  ["mostly kept", { kept: 12, lost: 1, garbage: 1 }],
  ["mostly lost", { kept: 1, lost: 12, garbage: 1 }],
] as const;

interface Image {
  readonly disk: FaultyDisk;
  readonly flushed: readonly number[];
  readonly attempted: readonly number[];
  readonly point: number;
}

/** Runs the transactions, flushing now and then, and takes what each loss of power would leave. */
async function run(seed: number, options: FaultyDiskOptions, images: Image[]): Promise<void> {
  const random = new Random(seed);
  const disk = new FaultyDisk({ ...options, random: random.fork() });
  const progress: Progress = { attempted: [], committed: [], flushed: [] };
  const fates = random.fork();
  disk.onOperation = ({ operation, index }) => {
    // A read or a look at the size changes nothing.
    const count = operation === "read" || operation === "size" ? 0 : imagesAPoint;
    for (let i = 0; i < count; i++) images.push({ disk: disk.afterCrash(fates.fork()), flushed: [...progress.flushed], attempted: [...progress.attempted], point: index });
    return null;
  };
  const database = await openBank(runtime, disk);
  for (let number = 0; number < TRANSACTIONS; number++) {
    transact(database, number, progress);
    if (!random.chance(0.5)) continue;
    const committed = [...progress.committed];
    await database.flush();
    progress.flushed = committed;
  }
  database.close();
}

async function verify(image: Image): Promise<void> {
  const found = await inspect(runtime, image.disk);
  // All or nothing, and in order: a later transaction is never there without an earlier one.
  expect(found).toEqual(image.attempted.slice(0, found.length));
  expect(found.length).toBeGreaterThanOrEqual(image.flushed.length);
}

describe("D4 openDatabase() keeps flushed commits over loss of power", () => {
  for (const sectorBytes of [512, 4_096]) {
    for (const [name, fates] of weights) {
      test(`with sectors of ${sectorBytes} bytes, ${name}`, async () => {
        const seed = sectorBytes + name.length;
        const images: Image[] = [];

        await run(seed, { sectorBytes, fates }, images);

        expect(images.length).toBeGreaterThan(80);
        for (const image of images) {
          await verify(image).catch((cause: unknown) => {
            throw new Error(`Seed ${seed}, loss of power before operation ${image.point}, flushed ${image.flushed.join()}, attempted ${image.attempted.join()}`, { cause });
          });
        }
      });
    }
  }

  test("when power is lost again while the next start recovers", async () => {
    const images: Image[] = [];
    await run(7, {}, images);
    const again: Image[] = [];
    for (const [at, image] of images.entries()) {
      if (at % 4 !== 0) continue;
      const fates = new Random(at);
      image.disk.onOperation = ({ operation }) => {
        if (operation !== "read" && operation !== "size") again.push({ ...image, disk: image.disk.afterCrash(fates.fork()) });
        return null;
      };
      await inspect(runtime, image.disk);
      image.disk.onOperation = null;
    }

    expect(again.length).toBeGreaterThan(50);
    for (const image of again) await verify(image);
  });
});
