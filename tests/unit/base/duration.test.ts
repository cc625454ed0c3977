import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Duration, durationMs, finiteDurationMs } from "../../../src/base/duration.ts";
import type { DefinitionError } from "../../../src/base/errors.ts";

const seed = 20261103;

/** As untyped JavaScript would call it. */
function parse(value: unknown): number {
  return durationMs(value as Duration, "grace");
}

function refusal(value: unknown): DefinitionError {
  try {
    parse(value);
  } catch (error) {
    return error as DefinitionError;
  }
  throw new Error(`not refused: ${String(value)}`);
}

describe(`durationMs(), seed ${seed}`, () => {
  const good: readonly (readonly [value: Duration | "infinity", ms: number])[] = [
    [0, 0],
    [1_500, 1_500],
    ["500ms", 500],
    ["10m", 600_000],
    ["1h 30m", 5_400_000],
    ["1h30m" as Duration, 5_400_000],
    ["1h  30m" as Duration, 5_400_000],
    ["1w 2d 3h 4m 5s 6ms", 788_645_006],
    ["1.5h", 5_400_000],
    ["0.001s", 1],
    ["1.1h", 3_960_000],
    ["0.1s 1ms", 101],
    ["0s", 0],
    ["infinity", Infinity],
  ];
  for (const [value, ms] of good) {
    test(`durationMs() is ${ms} when given ${JSON.stringify(value)}`, () => {
      expect(durationMs(value, "grace")).toBe(ms);
    });
  }

  const bad = [
    "",
    " ",
    "5",
    "m",
    "1e3m",
    "-5m",
    "+5m",
    "5 m",
    "1m 1h",
    "1m 1m",
    "1ms 1s",
    " 1h",
    "1h ",
    "1h,30m",
    "1.h",
    ".5h",
    "1..5h",
    "5M",
    "5min",
    "0.5ms",
    "1.0001s",
    "Infinity",
    "NaNs",
    "all",
    "99999999999999999999w",
    "٣m",
    "1h\n30m",
    NaN,
    -1,
    1.5,
    Infinity,
    -Infinity,
    2 ** 53,
    null,
    undefined,
    {},
    5n,
    true,
  ];
  for (const value of bad) {
    test(`durationMs() refuses ${typeof value} ${typeof value === "string" ? JSON.stringify(value) : String(value)}, naming the option`, () => {
      const error = refusal(value);

      expect([error.code, error.name, error.message.startsWith("grace is ")]).toEqual(["DURATION_INVALID", "DefinitionError", true]);
    });
  }

  test("durationMs() says what it got and what it wants", () => {
    expect(refusal("5min").message).toBe('grace is "5min", wanted whole milliseconds, or text such as "1h 30m": units w d h m s ms, largest first, each once');
  });

  test("finiteDurationMs() refuses infinity", () => {
    expect(finiteDurationMs("2s", "size")).toBe(2_000);
    expect(() => finiteDurationMs("infinity" as Duration, "size")).toThrow('size is "infinity"');
  });

  test("durationMs() is never -0", () => {
    expect(Object.is(durationMs(-0, "grace"), 0)).toBe(true);
  });

  test("durationMs() adds up any parts, largest first", () => {
    const units = [["w", 604_800_000], ["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000], ["ms", 1]] as const;
    const part = fc.option(fc.nat(10_000), { nil: null });
    fc.assert(
      fc.property(fc.tuple(part, part, part, part, part, part), fc.constantFrom("", " "), (numbers, gap) => {
        fc.pre(numbers.some((number) => number !== null));
        const parts = numbers.flatMap((number, i) => (number === null ? [] : [`${number}${units[i]![0]}`]));
        const wanted = numbers.reduce<number>((sum, number, i) => sum + (number ?? 0) * units[i]![1], 0);

        expect(parse(parts.join(gap))).toBe(wanted);
      }),
      { seed, numRuns: 500 },
    );
  });
});
