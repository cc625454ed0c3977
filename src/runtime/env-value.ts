/**
 * Values that come from the environment when the app starts: secrets, brokers, tokens. A definition holds the name of the variable, never its content.
 */
import { DefinitionError } from "../base/errors.ts";
import type { Runtime } from "./runtime.ts";

/** A value read from the runtime's environment when the app starts. */
export interface EnvValue {
  /** The name of the variable. */
  readonly "~env": string;
}

/** A secret: taken from the environment, or given (tests). */
export type Secret = EnvValue | string;

/** Kept off the enumerable properties, so that printing a definition shows no value. */
const FALLBACK = "~fallback";

/**
 * Names an environment variable; nothing is read until the app starts. `fallback` is used when the variable is missing or empty.
 *
 * @example
 * ```ts
 * import { env } from "millrace";
 *
 * const secret = env("PAYMENTS_SECRET");
 * if (secret["~env"] !== "PAYMENTS_SECRET") throw new Error("a name is kept, no value");
 * ```
 */
export function env(name: string, fallback?: string): EnvValue {
  if (typeof name !== "string" || name === "") {
    throw new DefinitionError(`env() got ${JSON.stringify(name)}, wanted the name of a variable`, { code: "OPTION_INVALID" });
  }
  const value = { "~env": name };
  if (fallback !== undefined) Object.defineProperty(value, FALLBACK, { value: fallback });
  return Object.freeze(value);
}

/** Whether a value names an environment variable. */
export function isEnvValue(value: unknown): value is EnvValue {
  return typeof value === "object" && value !== null && typeof (value as { readonly "~env"?: unknown })["~env"] === "string";
}

/**
 * The content of a secret. `what` names its use in the error, such as `secret of webhook "/hooks/payments"`.
 *
 * Throws DefinitionError `CONFIG_INVALID`, naming the variable and never a value, when it is missing or empty and has no fallback: an empty secret is one
 * that everybody knows.
 */
export function resolveSecret(runtime: Pick<Runtime, "env">, secret: Secret, what: string): string {
  if (typeof secret === "string") {
    if (secret !== "") return secret;
    throw new DefinitionError(`The ${what} is empty, wanted text or env("NAME")`, { code: "CONFIG_INVALID" });
  }
  if (!isEnvValue(secret)) throw new DefinitionError(`The ${what} is of type ${typeof secret}, wanted text or env("NAME")`, { code: "CONFIG_INVALID" });
  const name = secret["~env"];
  const value = runtime.env(name) || (secret as { readonly [FALLBACK]?: string })[FALLBACK];
  if (value !== undefined && value !== "") return value;
  throw new DefinitionError(`The ${what} comes from the environment variable ${name}, which is missing or empty: set it`, {
    code: "CONFIG_INVALID",
    details: { variable: name },
  });
}
