import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import type { DecodeError } from "../../../src/base/errors.ts";
import { check, type Schema, type SchemaResult } from "../../../src/record/schema.ts";

/** A schema with a given answer. */
function answering(answer: () => SchemaResult<number> | PromiseLike<SchemaResult<number>>): Schema<number> {
  return { "~standard": { version: 1, vendor: "test", validate: answer } };
}

async function failure(schema: Schema<unknown>, value: unknown): Promise<DecodeError> {
  try {
    await check(schema, value);
  } catch (error) {
    return error as DecodeError;
  }
  throw new Error("it fits");
}

describe("check()", () => {
  test("check() gives the schema's output, without a promise", () => {
    const schema = v.pipe(v.object({ n: v.pipe(v.string(), v.transform(Number)) }), v.transform(({ n }) => n + 1));

    expect(check(schema, { n: "41" })).toBe(42);
  });

  test("CH-05 check() throws SCHEMA_MISMATCH with paths as text", async () => {
    const schema = v.object({ a: v.object({ b: v.array(v.number()) }), "c d": v.string(), "": v.string() });

    const error = await failure(schema, { a: { b: [1, "x"] }, "c d": 1, "": null });

    expect([error.code, error.name]).toEqual(["SCHEMA_MISMATCH", "DecodeError"]);
    expect((error.details["issues"] as readonly { readonly path: string }[]).map((issue) => issue.path)).toEqual(["a.b[1]", '["c d"]', '[""]']);
    expect(error.message.startsWith("Value does not fit its schema: a.b[1]: ")).toBe(true);
  });

  test("check() shows three issues and counts the rest", async () => {
    const issues = ["a", "b", "c", "d", "e"].map((key) => ({ message: `${key} is wrong`, path: [{ key }, 0, Symbol("s")] }));

    const error = await failure(answering(() => ({ issues })), 1);

    expect(error.message).toBe(
      "Value does not fit its schema: a[0][Symbol(s)]: a is wrong; b[0][Symbol(s)]: b is wrong; c[0][Symbol(s)]: c is wrong; and 2 more",
    );
  });

  test("check() refuses when the list of issues is empty", async () => {
    expect((await failure(answering(() => ({ issues: [] })), 1)).code).toBe("SCHEMA_MISMATCH");
  });

  test("check() gives a promise when the schema does", async () => {
    const result = check(answering(() => Promise.resolve({ value: 5 })), 1);

    expect(result).toBeInstanceOf(Promise);
    expect(await result).toBe(5);
    expect((await failure(answering(() => Promise.resolve({ issues: [{ message: "no" }] })), 1)).details).toEqual({ issues: [{ path: "", message: "no" }] });
  });

  test("check() treats a schema that throws or rejects as a mismatch with a cause", async () => {
    const cause = new Error("broken");
    const throwing = answering(() => {
      throw cause;
    });

    for (const error of [await failure(throwing, 1), await failure(answering(() => Promise.reject(cause)), 1)]) {
      expect([error.code, error.cause, error.details["issues"]]).toEqual(["SCHEMA_MISMATCH", cause, [{ path: "", message: "The schema failed: broken" }]]);
    }
  });
});
