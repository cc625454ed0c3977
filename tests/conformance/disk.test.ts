import { hostRuntime } from "../../adapters/host/host.ts";
import { diskCases } from "../../src/testing/conformance/disk-cases.ts";
import { tempDirectory } from "../shim/temp.ts";
import { registerCases } from "./register.ts";

const runtime = await hostRuntime();

registerCases("the host's disk", diskCases, {
  has: [],
  open: () => {
    const temp = tempDirectory();
    const directory = `${temp.path}/state`;
    return { subject: { disk: runtime.disk(directory), another: () => runtime.disk(directory) }, close: () => temp.remove() };
  },
});
