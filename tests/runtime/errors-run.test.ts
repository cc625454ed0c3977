/** Every kind of step fails, the app is killed, and each record ends in exactly one place; `node scripts/errors-run.mjs` does 100,000 records on each log and runtime. */
import { describe, expect, test } from "bun:test";
import { toBytes } from "../../src/base/bytes.ts";
import { anyKeys } from "../../src/record/key.ts";
import { packValue } from "../../src/record/value-bytes.ts";
import type { Said } from "../errors/app.ts";
import type { Lying } from "../errors/content.ts";
import { embeddedErrorsRun } from "../errors/embedded-run.ts";
import { memoryErrorsRun } from "../errors/memory-run.ts";
import { ATTEMPTS, type Lane, lanes, Plan, type Planned } from "../errors/plan.ts";
import { stepNameOf, verdictOn } from "../errors/verdict.ts";
import { tempDirectory } from "../shim/temp.ts";

const SEED = 20_266;

test(
  `F08 F09 F11 on the log in memory each of 3,000 records that fail in every kind of step has one fate, the right one, over 4 crashes (seed ${SEED})`,
  async () => {
    const directory = tempDirectory();

    const { wrong, fates } = await memoryErrorsRun({ records: 3_000, seed: SEED, crashes: 4, directory: directory.path, lifeMs: 300 });

    expect(wrong).toEqual([]);
    expect(Object.values(fates).every((count) => count > 0)).toBe(true);
    directory.remove();
  },
  120_000,
);

test(`F08 F09 F11 PS-D2 on the embedded log each of 3,000 records has one fate, the right one, over 4 times kill -9 (seed ${SEED})`, async () => {
  const directory = tempDirectory();

  const { wrong, fates } = await embeddedErrorsRun({ runtime: "self", records: 3_000, seed: SEED, crashes: 4, directory: directory.path, lifeMs: 600 });

  expect(wrong).toEqual([]);
  expect(Object.values(fates).every((count) => count > 0)).toBe(true);
  directory.remove();
}, 120_000);

describe("the verdict", () => {
  const plan = new Plan(2_000, 1, Date.UTC(2026, 0, 1));
  const records = Array.from({ length: plan.records }, (_, n) => plan.record(n));
  const of = (lane: Lane, fate: string): readonly Planned[] => records.filter((planned) => planned.lane === lane && plan.fate(planned) === fate);
  const [first, second] = of("key", "processed").filter(({ key }, _, all) => key === all[0]!.key) as [Planned, Planned];
  const dead = of("key", "dead").find(({ fault }) => fault.kind === "permanent")!;
  const late = of("key", "late")[0]!;
  const skipped = of("key", "skipped")[0]!;

  test("on what is right is right", () => {
    const { wrong, missing, fates } = judge(content());

    expect([wrong, missing]).toEqual([[], 0]);
    expect(Object.values(fates).every((count) => count > 0)).toBe(true);
  });

  test.each<readonly [string, (topics: Topics) => void, string]>([
    ["a record that came out twice", ({ out }) => out.key.push(said(second)), `record ${second.n} ({"kind":"none"}) is processed, and was processed before`],
    [
      "a record that came out and is dead",
      ({ dead }) => dead.key.push(letter(second)),
      `record ${second.n} ({"kind":"none"}) is dead, and was processed before`,
    ],
    ["two of a key that changed places", ({ out }) => out.key.unshift(...out.key.splice(at(second), 1)), `record ${first.n} of key`],
    ["a dead letter that is there twice", ({ dead: letters }) => letters.key.push(letter(dead)), `record ${dead.n}`],
    [
      "attempts that are wrong",
      ({ dead: letters }) => letters.key.forEach((one) => (one.headers as Map<string, string>).set("mr-attempts", "7")),
      "says 7 attempts",
    ],
    [
      "a step that is wrong",
      ({ dead: letters }) => letters.key.forEach((one) => (one.headers as Map<string, string>).set("mr-step", "other")),
      'names step "other"',
    ],
    ["a late record that came out", ({ out, late: letters }) => {
      letters.key = letters.key.filter((one) => one.headers.get("n") !== String(late.n));
      out.key.push(said(late));
    }, `record ${late.n} ({"kind":"late"}, lane key) is processed, wanted late`],
    ["a skipped record that is dead", ({ dead: letters }) => letters.key.push(letter(skipped)), `record ${skipped.n}`],
    ["state that counted twice", ({ out }) => out.key.push(said(first, { ids: [first.n, first.n], total: 2 * first.n })), "counted twice"],
    ["a row of features that is there twice", ({ rows }) => rows.push(row(first)), `record ${first.n} gave its features 2 times`],
  ])("on %s says so", (_, spoil, sentence) => {
    const topics = content();
    spoil(topics);

    expect(judge(topics).wrong.join("\n")).toContain(sentence);
  });

  test("on a record that is nowhere says that one is missing", () => {
    const topics = content();
    topics.out.key.splice(at(second), 1);

    expect(judge(topics).missing).toBe(1);
  });

  /** Where it comes out in its lane. */
  function at(planned: Planned): number {
    return of(planned.lane, "processed").indexOf(planned);
  }

  function said({ n, key, lane }: Planned, state: Pick<Said, "ids" | "total"> = { ids: [n], total: n }): Lying {
    return {
      partition: 0,
      key: toBytes(lane === "close" ? key : String(anyKeys.encode(key))),
      value: packValue({ n, key, ...state }).slice(),
      headers: new Map(),
    };
  }

  function letter({ n, lane, fault }: Planned): Lying {
    const step = "step" in fault ? stepNameOf("errors", lane, fault.step) ?? "" : "";
    return {
      partition: 0,
      key: null,
      value: null,
      headers: new Map([["n", String(n)], ["mr-attempts", String(fault.kind === "permanent" ? ATTEMPTS : 1)], ["mr-step", step]]),
    };
  }

  function row({ n }: Planned): Lying {
    return { partition: 0, key: null, value: packValue([{ n }, null]).slice(), headers: new Map() };
  }

  interface Topics {
    readonly out: Record<Lane, Lying[]>;
    readonly dead: Record<Lane, Lying[]>;
    readonly late: Record<Lane, Lying[]>;
    readonly rows: Lying[];
  }

  /** What the plan wants, in the order of numbers. */
  function content(): Topics {
    const byLane = (make: (lane: Lane) => Lying[]): Record<Lane, Lying[]> =>
      Object.fromEntries(lanes.map((lane) => [lane, make(lane)])) as Record<Lane, Lying[]>;
    return {
      out: byLane((lane) => of(lane, "processed").map((planned) => said(planned))),
      dead: byLane((lane) => of(lane, "dead").map(letter)),
      late: byLane((lane) => of(lane, "late").map(letter)),
      rows: records.filter((planned) => ["processed", "late"].includes(plan.fate(planned)) || ("step" in planned.fault && planned.fault.step === "last")).map(
        row,
      ),
    };
  }

  function judge({ out, dead, late, rows }: Topics): ReturnType<typeof verdictOn> {
    const book = { tries: new Uint8Array(plan.records).fill(1), sunk: new Uint8Array(plan.records).fill(1) };
    return verdictOn("errors", plan, { out: (lane) => out[lane], dead: (lane) => dead[lane], late: (lane) => late[lane], features: () => rows }, book);
  }
});
