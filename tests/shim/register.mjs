/** For Node: `node --import ./tests/shim/register.mjs --test …` runs the files that import `bun:test`. */
import { registerHooks } from "node:module";

const shim = new URL("./bun-test.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) => (specifier === "bun:test" ? { url: shim, format: "module-typescript", shortCircuit: true } : next(specifier, context)),
});
