import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { codec } from "../../../src/record/codec.ts";
import { json } from "../../../src/record/codec-json.ts";
import { msgpack } from "../../../src/record/codec-msgpack.ts";
import { text } from "../../../src/record/codec-text.ts";
import { type ValueFormat, valueFormat } from "../../../src/record/format.ts";
import type { Schema } from "../../../src/record/schema.ts";

const encoder = new TextEncoder();
const Payment = v.object({ id: v.string(), at: v.pipe(v.string(), v.isoTimestamp(), v.transform((at) => new Date(at))) });
const input = { id: "p1", at: "2026-11-01T00:00:00.000Z" };
const output = { id: "p1", at: new Date(input.at) };

function bytesOf<V, Input>(format: ValueFormat<V, Input>, value: Input): Uint8Array {
  const payload = format.encode(value);
  return typeof payload === "string" ? encoder.encode(payload) : payload;
}

describe("valueFormat()", () => {
  test("valueFormat() makes checked JSON of a schema: reading gives its output", () => {
    const format = valueFormat(Payment);

    const bytes = bytesOf(format, input);

    expect(new TextDecoder().decode(bytes)).toBe(JSON.stringify(input));
    expect(format.decode(bytes)).toEqual(output);
  });

  test("valueFormat() checks the input when it writes, and writes it untransformed", () => {
    const format = valueFormat(Payment);

    expect(() => format.encode({ id: "p1", at: "yesterday" })).toThrow("Value does not fit its schema: at: ");
  });

  test("CH-05 valueFormat() refuses what does not fit when it reads", () => {
    expect(() => valueFormat(Payment).decode(encoder.encode('{"id":1}'))).toThrow("Value does not fit its schema: id: ");
  });

  test("valueFormat() keeps a codec as it is, also one of a schema library with encode and decode", () => {
    expect(valueFormat(text()).name).toBe("text");
    const zodLike: Schema<string> & { encode(): never; decode(): never } = {
      "~standard": { version: 1, vendor: "zod", validate: (value) => ({ value: String(value) }) },
      encode: () => {
        throw new Error("not ours");
      },
      decode: () => {
        throw new Error("not ours");
      },
    };

    expect(valueFormat(zodLike).decode(encoder.encode("5"))).toBe("5");
  });

  test("valueFormat() is plain JSON, or the fallback, when there is no format", () => {
    expect([valueFormat(undefined).name, valueFormat(undefined, text()).name]).toEqual(["json", "text"]);
  });

  test("json() and msgpack() with a schema check on both ways", () => {
    const schema = v.object({ n: v.number() });
    for (const format of [json(schema)["~codec"], msgpack(schema)["~codec"]]) {
      const bytes = bytesOf(format, { n: 1 });

      expect(format.decode(bytes)).toEqual({ n: 1 });
      expect(() => format.encode({ n: "1" } as never)).toThrow("n: ");
    }
  });

  test("a schema that answers with a promise makes decode() give one, and is not waited for by encode()", async () => {
    const odd = v.pipeAsync(v.number(), v.checkAsync(async (n) => n % 2 === 1, "it is even"));
    const format = valueFormat<number>(odd);

    expect(format.encode(2)).toBe("2");
    expect(await format.decode(encoder.encode("3"))).toBe(3);
    let error: unknown;
    await Promise.resolve(format.decode(encoder.encode("2"))).catch((thrown: unknown) => error = thrown);
    expect(String(error)).toContain("it is even");
  });
});

describe("codec()", () => {
  test("codec() turns what its functions throw into CODEC_FAILED with the cause", () => {
    const cause = new RangeError("boom");
    const broken = codec<string>({
      name: "broken",
      encode: () => {
        throw cause;
      },
      decode: () => {
        throw cause;
      },
    })["~codec"];

    for (
      const [fn, message] of [[() => broken.encode("x"), "Cannot write a value as broken: boom"], [
        () => broken.decode(new Uint8Array(3)),
        "Cannot read 3 bytes as broken: boom",
      ]] as const
    ) {
      try {
        fn();
        expect("no error").toBe("");
      } catch (error) {
        expect([(error as { code: string }).code, (error as Error).message, (error as Error).cause]).toEqual(["CODEC_FAILED", message, cause]);
      }
    }
  });
});
