/**
 * The public types. That the programs in `programs/` compile with the types they assert, and the lines in `refused/` do not, is checked wherever the repository is type-checked; here those programs
 * are also started, and what types show and cost is measured.
 */
import { describe, expect, test } from "bun:test";
import type { App } from "millrace";
import { selfName } from "../shim/spawn.ts";
import { compile } from "./compiler.ts";
import { schemas, topics } from "./cost.ts";
import * as features from "./programs/features.ts";
import * as named from "./programs/named-functions.ts";
import * as streams from "./programs/streams.ts";
import * as topicPrograms from "./programs/topics.ts";
import * as webhooks from "./programs/webhooks.ts";
import * as windows from "./programs/windows.ts";

/** Instantiations of a program with one topic, beyond those of its schema: 2,490 when this was written. */
const ONE_TOPIC_MAX = 4_000;
/** Instantiations of each further topic with all that hangs on it, its schema left out: 1,440 when this was written. */
const FURTHER_TOPIC_MAX = 2_000;

const isNode = selfName() === "node";
const elsewhere = isNode ? "" : " [skipped: TypeScript says the same whichever runtime starts it, and Node does]";

describe("programs that compile also stand", () => {
  const { shop, untyped, transformed, plainTypes, ownSchema, codecs, keys } = topicPrograms;
  const { narrowing, branching, merging, handlers, onward, wider } = streams;
  const { spend, aggregators, twoSteps, reducing, migrated } = windows;
  const { lastPayment, parsing, anyOrder, schemaAsParse, rows } = features;
  const programs: readonly (() => App)[] = [
    ...[shop, untyped, transformed, plainTypes, ownSchema, codecs, keys],
    ...[narrowing, branching, merging, handlers, onward, wider],
    ...[spend, aggregators, twoSteps, reducing, migrated],
    ...[lastPayment, parsing, anyOrder, schemaAsParse, rows],
    ...[webhooks.ownTopic, webhooks.intoTopic, named.steps, named.webhook, named.resolvers],
  ];

  test.each(programs.map((program) => [program.name, program] as const))("%s", (_name, program) => {
    const { topics } = program().topology();

    expect(topics.length).toBeGreaterThan(0);
  });
});

describe("types", () => {
  test.skipIf(!isNode)(`what the editor shows is plain${elsewhere}`, async () => {
    const program = `
      import * as v from "valibot";
      import { collect, count, createApp, max, sum, tumbling } from "millrace";
      const app = createApp("shown");
      const Payment = v.object({ id: v.string(), amount: v.number(), at: v.pipe(v.string(), v.transform((text) => new Date(text))), via: v.picklist(["card", "cash"]), note: v.optional(v.string()) });
      const payments = app.topic("payments", { value: Payment, key: (payment) => payment.id });
      const spend = app.stream(payments).groupBy((payment) => payment.note).window(tumbling("1h")).aggregate({ total: sum((p) => p.amount), n: count(), last: max((p) => p.at), vias: collect() });
      const account = app.features("account", { last: v.string(), tags: v.array(v.string()), risk: v.nullable(v.number()) });
      const hook = app.webhook("/hooks", { verify: "none", body: Payment, headers: v.object({ "x-kind": v.string() }) });
      const shown = {
        payments, spend, hook,
        card: app.stream(payments).filter((payment) => payment.via === "card"),
        split: app.stream(payments).map((payment) => payment.amount > 1 ? payment.id : payment.amount).branch({ texts: (one) => typeof one === "string" }).rest,
        sent: app.stream(payments).to("copies"),
        row: account.of("a", { last: "1" }),
        pick: account.pick("last", "risk"),
        resolver: app.resolver("r", { source: payments, parse: ({ id, amount }) => ({ id, amount }), output: account }, ({ id }) => account.of(id, { last: id })),
        body: app.stream(hook).map(({ body }) => body),
        merged: app.stream(payments).merge(app.topic("numbers", { value: v.number() })),
      };
      async function query() { return { all: await app.query(account, "a"), some: await app.query(account.pick("risk"), "a") }; }
      const { all, some } = await query();
      ${
      ["payments", "spend", "hook", "card", "split", "sent", "row", "pick", "resolver", "body", "merged"].map((name) =>
        `const ${name}Shown: never = shown.${name};`
      ).join("\n")
    }
      const allShown: never = all;
      const someShown: never = some;
    `;
    const { errors } = await compile(program);

    const payment = '{ id: string; amount: number; at: Date; via: "card" | "cash"; note?: string | undefined; }';
    const values = "{ readonly last: string; readonly tags: string[]; readonly risk: number | null; }";
    const windowed = `Windowed<string, { total: number; n: number; last: Date; vias: readonly ${payment}[]; }>`;
    expect(errors.map((error) => /^Type '(.*)' is not assignable to type 'never'\.$/.exec(error)?.[1] ?? error)).toEqual([
      `Topic<string, ${payment}, { id: string; amount: number; at: string; via: "card" | "cash"; note?: string | undefined; }>`,
      `Stream<string, ${windowed}>`,
      `Webhook<${payment}, Readonly<Record<string, string | readonly string[]>>, { "x-kind": string; }>`,
      `Stream<string, ${payment}>`,
      "Stream<string, number>",
      `TopicView<string, ${payment}>`,
      `FeatureRow<"account", string, Pick<${values}, "last">>`,
      `FeaturePick<"account", string, Pick<${values}, "last" | "risk">>`,
      `Resolver<{ id: string; amount: number; }, FeatureRow<"account", string, Partial<${values}>>>`,
      `Stream<string | null, ${payment}>`,
      `Stream<string | null, number | ${payment}>`,
      "{ readonly last: string | null; readonly tags: string[] | null; readonly risk: number | null; }",
      "{ readonly risk: number | null; }",
    ]);
  });

  test.skipIf(!isNode)(`a program compiles where only the types of Node are installed${elsewhere}`, async () => {
    const { errors } = await compile('import { createApp } from "millrace";\nexport const { name } = createApp("shop");', ["node"]);

    expect(errors).toEqual([]);
  });

  test.skipIf(!isNode)(`a program costs what it holds, and forty topics forty times one${elsewhere}`, async () => {
    const cost = async (count: number): Promise<number> => {
      const [bare, whole] = [await compile(schemas(count)), await compile(topics(count))];
      expect([bare.errors, whole.errors]).toEqual([[], []]);
      return whole.instantiations - bare.instantiations;
    };
    const [one, forty] = [await cost(1), await cost(40)];

    expect(one).toBeLessThan(ONE_TOPIC_MAX);
    expect((forty - one) / 39).toBeLessThan(FURTHER_TOPIC_MAX);
  });
});
