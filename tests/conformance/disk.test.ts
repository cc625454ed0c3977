import { hostRuntime } from "../../adapters/host/host.ts";
import { Random } from "../../src/base/random.ts";
import { memoryDisk } from "../../src/runtime/memory-disk.ts";
import { diskCases } from "../../src/testing/conformance/disk-cases.ts";
import { FaultyDisk } from "../../src/testing/faulty-disk.ts";
import { tempDirectory } from "../shim/temp.ts";
import { registerCases } from "./register.ts";

const runtime = await hostRuntime();

/** What disks in memory need not do. */
const inMemory = [
  { reason: "in memory there are no folders, only names", names: ["D8 a file is no folder, and a folder is no file"] },
  { reason: "only hosts have a position of their own that -1 could mean", names: ["D2 a position below 0, or none, is refused"] },
] as const;

registerCases("the host's disk", diskCases, {
  // Power cannot be cut here; tests/runtime/disk-order.test.ts proves the order of the calls that D4 rests on.
  has: [],
  open: () => {
    const temp = tempDirectory();
    const directory = `${temp.path}/state`;
    return { subject: { disk: runtime.disk(directory), another: () => runtime.disk(directory) }, close: () => temp.remove() };
  },
});

registerCases("memoryDisk()", diskCases, {
  has: [],
  skip: inMemory,
  open: () => {
    const disk = memoryDisk();
    return { subject: { disk, another: () => disk } };
  },
});

for (const sectorBytes of [512, 4_096]) {
  registerCases(`FaultyDisk of ${sectorBytes} byte sectors`, diskCases, {
    skip: inMemory,
    open: () => {
      const disk = new FaultyDisk({ sectorBytes, random: new Random(sectorBytes) });
      return { subject: { disk, another: () => disk, losePower: () => disk.afterCrash() } };
    },
  });
}
