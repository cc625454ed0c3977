import { describe, expect, test } from "bun:test";
import { DefinitionError } from "../../../src/base/errors.ts";
import { env, isEnvValue, resolveSecret } from "../../../src/runtime/env-value.ts";

const runtime = { env: (name: string): string | undefined => ({ SET: "hunter2", EMPTY: "" })[name] };

describe("env()", () => {
  test("names a variable, and shows no fallback", () => {
    const value = env("SET", "fallback");

    expect([isEnvValue(value), JSON.stringify(value), Object.values(value)]).toEqual([true, '{"~env":"SET"}', ["SET"]]);
  });

  test.each([[""], [undefined], [1]])("refuses the name %j", (name) => {
    expect(() => env(name as string)).toThrow("wanted the name of a variable");
  });
});

describe("resolveSecret()", () => {
  test("takes text, the variable, or its fallback", () => {
    const take = (secret: Parameters<typeof resolveSecret>[1]): string => resolveSecret(runtime, secret, "secret of x");

    expect([take("given"), take(env("SET")), take(env("SET", "f")), take(env("UNSET", "f")), take(env("EMPTY", "f"))]).toEqual(["given", "hunter2", "hunter2", "f", "f"]);
  });

  test.each([
    [env("UNSET"), "The secret of x comes from the environment variable UNSET, which is missing or empty: set it"],
    [env("EMPTY"), "The secret of x comes from the environment variable EMPTY, which is missing or empty: set it"],
    [env("UNSET", ""), "The secret of x comes from the environment variable UNSET, which is missing or empty: set it"],
    ["", 'The secret of x is empty, wanted text or env("NAME")'],
    [7 as unknown as string, 'The secret of x is of type number, wanted text or env("NAME")'],
  ])("refuses %j with CONFIG_INVALID", (secret, message) => {
    let error: unknown;
    try {
      resolveSecret(runtime, secret, "secret of x");
    } catch (thrown) {
      error = thrown;
    }

    expect(error instanceof DefinitionError ? [error.code, error.message] : error).toEqual(["CONFIG_INVALID", message]);
  });
});
