import { hostRuntime } from "../../adapters/host/host.ts";
import { runtimeCases } from "../../src/testing/conformance/runtime-cases.ts";
import { registerCases } from "./register.ts";

const program = new URL("./spawn-fixture.ts", import.meta.url).pathname;
const runtime = await hostRuntime();

registerCases("the host's runtime", runtimeCases, {
  open: () => ({ subject: { runtime, settle: (promise) => promise, request: (url, init) => fetch(url, init), program } }),
});
