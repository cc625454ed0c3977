/** Finds the app in what a module exports. */
import { DefinitionError, isStreamError } from "../base/errors.ts";
import type { App } from "../app/app.ts";

/** Loads a module and takes its `app`, else its default export. Throws DefinitionError when neither is one; what the module itself throws comes through. */
export async function findApp(file: string, load: (file: string) => Promise<unknown>): Promise<App> {
  const module = await load(file) as Readonly<Record<string, unknown>>;
  for (const name of ["app", "default"]) if (isApp(module[name])) return module[name];
  const exported = Object.keys(module);
  throw new DefinitionError(
    `Cannot find an app in ${file}: it exports ${
      exported.length === 0 ? "nothing" : exported.join(", ")
    }, wanted \`export const app = createApp("…")\` or an app as default export`,
  );
}

/** By what it can do, not by its class: the module may have loaded another copy of the package. */
function isApp(value: unknown): value is App {
  if (typeof value !== "object" || value === null || isStreamError(value)) return false;
  const app = value as Partial<Record<keyof App, unknown>>;
  return typeof app.name === "string" && typeof app.run === "function" && typeof app.stop === "function";
}
