/** The desk on a log that holds letters, without an app at work: what it reads, what it appends, and in which order. */
import { describe, expect, test } from "bun:test";
import { internalsOf } from "../../../src/app/app.ts";
import { LetterDesk } from "../../../src/letter/letter-desk.ts";
import type { LetterBoxName } from "../../../src/letter/letter.ts";
import type { Append, AppendReceipt } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { open } from "../task/harness.ts";
import { auditOf, deadLetter, deskStand, lateLetter, put, retriesOf, START } from "./desk-stand.ts";
import { failingShop } from "./shop.ts";

const box: LetterBoxName = { kind: "dead", source: "orders" };
const late: LetterBoxName = { kind: "late", source: "orders" };
const ann = { by: "ann" };

/** Refuses appends to a topic while it is told to. */
class HalfLog extends WrappedLog {
  refuses: string | null = null;

  override async append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    if (appends.some(({ topic }) => topic === this.refuses)) throw new Error("power is gone");
    return await super.append(appends);
  }
}

describe("a list", () => {
  test("goes through ten thousand letters page by page, each once, in order", async () => {
    const { log, desk } = await deskStand();
    await put(log, Array.from({ length: 10_000 }, (_, index) => deadLetter({ key: `k${index}`, at: START + index })));

    const found: number[] = [];
    for (let after: number | undefined, more = true; more;) {
      const { letters, next } = await desk.list(box, { limit: 1_000, after });
      found.push(...letters.map(({ id }) => id));
      more = next !== null;
      after = next ?? undefined;
    }
    expect(found).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
    expect((await desk.counts())[0]).toMatchObject({ open: 10_000 });
  });

  test("gives the letters that fit all that is asked for: from since on, before until", async () => {
    const { log, desk } = await deskStand();
    const failures = [new RangeError("below 0"), new TypeError("no number")];
    await put(
      log,
      Array.from({ length: 6 }, (_, index) => deadLetter({ error: failures[index % 2]!, at: START + index, step: index < 4 ? "orders-map" : "other" })),
    );
    const found = async (query: object): Promise<number[]> => (await desk.list(box, { limit: 10, ...query })).letters.map(({ id }) => id);
    const [first] = (await desk.list(box, { limit: 1 })).letters;

    expect(await found({ fingerprint: first!.fingerprint })).toEqual([0, 2]);
    expect(await found({ step: "other" })).toEqual([4, 5]);
    expect(await found({ since: START + 1, until: START + 4 })).toEqual([1, 2, 3]);
    expect(await found({ since: START + 1, fingerprint: first!.fingerprint })).toEqual([2]);
    expect(await found({ fingerprint: "00000000" })).toEqual([]);
    expect(await found({ state: "queued" })).toEqual([]);
  });

  test("of a topic that is not there is empty", async () => {
    const { desk, runtime } = await deskStand();
    const bare = new LetterDesk({ topology: internalsOf(failingShop().app).builder.build(), log: memoryLog(runtime), runtime });

    expect(await bare.list(box, { limit: 10 })).toEqual({ letters: [], next: null });
    expect(await bare.counts()).toEqual(await desk.counts());
    expect(await bare.audit(Infinity, 10)).toEqual({ entries: [], next: null });
  });
});

describe("groups", () => {
  test("count letters that failed alike, the most open ones first, with the message of the newest", async () => {
    const { log, desk } = await deskStand();
    const at = (index: number, error: Error) => deadLetter({ error, at: START + index });
    await put(log, [
      at(0, new TypeError("x")),
      at(1, new RangeError("order 1 is below 0")),
      at(2, new RangeError("order 22 is below 0")),
      at(3, new RangeError("order 3 is below 0")),
    ]);
    await desk.purge(box, { ids: [3] }, ann);
    await desk.replay(box, { ids: [1] }, ann);

    const { groups, others } = await desk.groups(box, {});

    expect(others).toBe(0);
    expect(groups.map(({ count, open, error, message, first, last, example }) => [count, open, error, message, first - START, last - START, example])).toEqual([
      [2, 1, "RangeError", "order 22 is below 0", 1, 2, 2],
      [1, 1, "TypeError", "x", 0, 0, 0],
    ]);
  });
});

describe("an order to try letters again", () => {
  test("takes a record back to where it was, with its own headers, key and partition", async () => {
    const { log, desk } = await deskStand(3);
    const headers = [{ name: "tenant", value: "x" }];
    await put(log, [deadLetter({ partition: 2, headers }), deadLetter({ topic: "step:orders-map", stepKey: { a: 1 }, value: { n: 1 } })]);

    expect(await desk.replay(box, { all: true }, ann)).toEqual({ selected: 2, queued: 2, already: 0, unfit: 0, ids: [0, 1], problems: [] });

    const [behind, again] = retriesOf(log);
    expect(again).toEqual({
      partition: 2,
      value: '{"id":"a","amount":-1}',
      headers: [{ name: "tenant", value: new TextEncoder().encode("x") }],
      note: {
        entrance: "orders",
        partition: 2,
        position: 7,
        timestamp: START - 5,
        key: null,
        attempts: 0,
        dueAt: 0,
        arrivedAt: START,
        budgetFrom: null,
        replay: { letter: { topic: "orders-dlq", position: 0 }, run: 1 },
        missed: null,
      },
    });
    expect(behind?.note).toMatchObject({ entrance: "step:orders-map", partition: 0, position: -1, key: { a: 1 } });
    expect(auditOf(log).map(({ by, change }) => [by, change.action, "letter" in change && change.letter.position])).toEqual([["ann", "replay", 0], [
      "ann",
      "replay",
      1,
    ]]);
  });

  test("takes late letters into their step, at the time of the replay where that is asked for", async () => {
    const { log, desk, runtime } = await deskStand();
    await put(log, [lateLetter()], "orders-late");
    runtime.advance(1_000);

    await desk.replay(late, { all: true }, ann);
    await desk.replay(late, { all: true }, { ...ann, again: true, at: "now" });
    expect((await desk.list(late, { limit: 1 })).letters[0]).toMatchObject({ state: "queued", error: null, latenessMs: 30_000, key: "a" });

    expect(retriesOf(log).map(({ note }) => [note.entrance, note.timestamp === null ? null : note.timestamp - START, note.missed, note.key, note.replay?.run]))
      .toEqual([[
        "into:orders-map",
        -60_000,
        [{ start: 0, end: 60_000 }],
        "a",
        1,
      ]]);
  });

  test("leaves letters alone that cannot go back, and says why", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter({ topic: "old-topic" }), deadLetter({ topic: "step:old-step" }), { key: null, value: "x", timestamp: START, headers: [] }]);
    await put(log, [lateLetter({ step: "old-step" })], "orders-late");

    const answer = await desk.replay(box, { all: true }, ann);

    expect([answer.selected, answer.queued, answer.unfit]).toEqual([3, 0, 3]);
    expect(answer.problems.map(({ reason }) => reason)).toEqual([
      'the app does not read the topic "old-topic" any more',
      'the app has no step "old-step" any more',
      "it does not say where it failed: the engine did not write it",
    ]);
    expect((await desk.replay(late, { all: true }, ann)).problems).toEqual([{ id: 0, reason: 'the app has no step "old-step" any more' }]);
    expect([retriesOf(log), auditOf(log)]).toEqual([[], []]);
  });

  test("O1 that is cut off between record and audit leaves letters open, and said again queues the same run", async () => {
    const half = { log: null as HalfLog | null };
    const { log, desk } = await deskStand(1, (inner) => half.log = new HalfLog(inner));
    await put(log, [deadLetter(), deadLetter({ key: "b" })]);
    half.log!.refuses = "shop-audit";

    await expect(desk.replay(box, { all: true }, ann)).rejects.toThrow("power is gone");
    expect((await desk.list(box, { limit: 10 })).letters.map(({ state }) => state)).toEqual(["open", "open"]);
    expect(retriesOf(log).length).toBe(2);

    half.log!.refuses = null;
    expect((await desk.replay(box, { all: true }, ann)).queued).toBe(2);
    expect(retriesOf(log).map(({ note }) => [note.replay?.letter.position, note.replay?.run])).toEqual([[0, 1], [1, 1], [0, 1], [1, 1]]);
  });

  test("O1 that is cut off before the record says nothing of it in the audit", async () => {
    const half = { log: null as HalfLog | null };
    const { log, desk } = await deskStand(1, (inner) => half.log = new HalfLog(inner));
    await put(log, [deadLetter()]);
    half.log!.refuses = "shop-retry";

    await expect(desk.replay(box, { all: true }, ann)).rejects.toThrow("power is gone");
    expect(auditOf(log)).toEqual([]);
    half.log!.refuses = null;
    expect((await desk.replay(box, { all: true }, ann)).queued).toBe(1);
  });

  test("given by two processes that know nothing of each other has a letter tried again once", async () => {
    const { app, orders, mood } = failingShop();
    const stand = await open(app);
    const topology = internalsOf(app).builder.build();
    const desks = [1, 2].map(() => new LetterDesk({ topology, log: stand.log, runtime: stand.runtime }));
    await orders.send({ id: "a", amount: -1 });
    await stand.drain();
    mood.mends = true;

    const answers = await Promise.all(desks.map((desk) => desk.replay(box, { all: true }, ann)));
    await stand.drain();

    // Both saw it open: only so does the test say something.
    expect(answers.map(({ queued }) => queued)).toEqual([1, 1]);
    expect(mood.calls).toBe(2);
    expect((await desks[0]!.list(box, { limit: 1 })).letters[0]!.state).toBe("replayed");
    await stand.crash();
  });

  test("with dryRun appends nothing", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter()]);

    expect(await desk.replay(box, { all: true }, { ...ann, dryRun: true })).toMatchObject({ selected: 1, queued: 1, ids: [0] });
    expect(await desk.purge(box, { all: true }, { ...ann, dryRun: true })).toMatchObject({ selected: 1, purged: 1 });
    expect([retriesOf(log), auditOf(log)]).toEqual([[], []]);
  });

  test("of thousands of letters queues each, with its own edit", async () => {
    const { log, desk } = await deskStand(4);
    await put(log, Array.from({ length: 2_500 }, (_, index) => deadLetter({ partition: index % 4, key: `k${index}` })));
    const edited = [3, 700, 2_499];
    await desk.edit(box, edited.map((id) => ({ id, value: { id: "e", amount: id } })), "ann");

    const answer = await desk.replay(box, { all: true }, ann);

    expect([answer.selected, answer.queued, answer.ids.length]).toEqual([2_500, 2_500, 1_000]);
    const retries = retriesOf(log);
    expect(new Set(retries.map(({ note }) => note.replay!.letter.position)).size).toBe(2_500);
    expect(
      retries.filter(({ value }) => value!.includes('"e"')).map(({ note, value }) => [note.replay!.letter.position, value]).sort(([a], [b]) =>
        Number(a) - Number(b)
      ),
    ).toEqual(
      edited.map((id) => [id, `{"id":"e","amount":${id}}`]),
    );
    expect(retries.every(({ partition, note }) => partition === note.partition)).toBe(true);
  });

  test.each([
    [{}, "is empty"],
    [{ ids: [] }, "is empty"],
    [{ all: false }, "is empty"],
    [{ ids: [0], all: true }, "two things at once"],
    [{ step: "x", all: true }, "two things at once"],
    [{ ids: [0], step: "x" }, "two things at once"],
    [{ ids: [-1] }, "whole numbers from 0"],
    [{ ids: [0.5] }, "whole numbers from 0"],
    [{ ids: Array.from({ length: 100_001 }, (_, index) => index) }, "100000 at most"],
    [{ ids: [0, 5, 6] }, 'There is no letter 5, 6 in "orders-dlq"'],
  ])("refuses the selection %j", async (selection, why) => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter()]);

    await expect(desk.replay(box, selection, ann)).rejects.toThrow(why);
    await expect(desk.purge(box, selection, ann)).rejects.toThrow(why);
    expect(auditOf(log)).toEqual([]);
  });
});

describe("an edit", () => {
  test("is checked by the schema of the topic, all edits before the first is written, unless it is forced", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter(), deadLetter()]);
    const bad = { id: 1, value: { id: "b" } };

    await expect(desk.edit(box, [{ id: 0, value: { id: "b", amount: 1 } }, bad], "ann")).rejects.toMatchObject({
      code: "SCHEMA_MISMATCH",
      details: { issues: [{ path: "amount" }] },
    });
    expect(auditOf(log)).toEqual([]);
    expect(await desk.edit(box, [{ ...bad, force: true }], "ann")).toEqual({ edited: 1 });
    expect(await desk.letter(box, 1)).toMatchObject({ value: { id: "b" }, original: { value: { id: "a", amount: -1 } } });
  });

  test("by bytes is read as its topic reads it; a tombstone is one", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter(), deadLetter({ topic: "step:orders-map", value: { n: 1 }, stepKey: "a" })]);

    await expect(desk.edit(box, [{ id: 0, valueBase64: btoa("{oops") }], "ann")).rejects.toMatchObject({ code: "CODEC_FAILED" });
    await expect(desk.edit(box, [{ id: 0, valueBase64: "%%" }], "ann")).rejects.toThrow("not base64");
    await expect(desk.edit(box, [{ id: 0 }], "ann")).rejects.toThrow("gives 0 values");
    await expect(desk.edit(box, [{ id: 0, value: 1, tombstone: true }], "ann")).rejects.toThrow("gives 2 values");
    await expect(desk.edit(box, [{ id: 9, value: 1 }], "ann")).rejects.toMatchObject({ details: { reason: "missing" } });
    await desk.edit(box, [{ id: 0, valueBase64: btoa("{oops"), force: true }, { id: 1, value: { n: [2, "x"] } }], "ann");
    expect(await desk.letter(box, 0)).toMatchObject({ valueText: "{oops" });
    expect(await desk.letter(box, 1)).toMatchObject({ value: { n: [2, "x"] }, key: "a", original: { value: { n: 1 } } });
    await desk.edit(box, [{ id: 0, tombstone: true }], "bob");
    expect(await desk.letter(box, 0)).toMatchObject({ tombstone: true, history: [{ by: "ann", valueBytes: 5 }, { by: "bob", valueBytes: null }] });
    await desk.replay(box, { ids: [0] }, ann);
    expect(retriesOf(log)[0]!.value).toBe(null);
  });

  test("of a letter that waits to be tried again, or was purged, is refused", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter(), deadLetter()]);
    await desk.replay(box, { ids: [0] }, ann);
    await desk.purge(box, { ids: [1] }, ann);

    for (const id of [0, 1]) {
      await expect(desk.edit(box, [{ id, value: { id: "b", amount: 1 } }], "ann")).rejects.toMatchObject({ details: { reason: "state" } });
    }
  });
});

describe("a letter", () => {
  test("is shown by what it can be read as", async () => {
    const { log, desk } = await deskStand();
    const values: (string | Uint8Array | null)[] = ['{"id":"a","amount":"far too much"}', "{oops", new Uint8Array([255, 0, 1]), null];
    await put(log, values.map((value) => ({ ...deadLetter(), value })));

    const shown = await Promise.all(values.map((_, id) => desk.letter(box, id)));

    expect(shown).toMatchObject([{ value: { id: "a", amount: "far too much" } }, { valueText: "{oops" }, { valueBase64: "/wAB" }, { tombstone: true }]);
    expect(await desk.letter(box, 4)).toBe(null);
  });

  test("of an older version, or of another program, is shown as far as it is known", async () => {
    const { log, desk } = await deskStand();
    const old = [{ name: "mr-step", value: "orders-map" }, { name: "mr-topic", value: "orders" }, { name: "mr-partition", value: "x" }, {
      name: "mr-missed",
      value: "{",
    }, { name: "mr-state", value: "<" }];
    await put(log, [{ key: new Uint8Array([255]), value: "1", timestamp: START, headers: old }, {
      key: null,
      value: null,
      timestamp: START,
      headers: [{ name: "a", value: null }],
    }]);

    expect(await desk.letter(box, 0)).toMatchObject({
      keyBase64: "/w==",
      step: "orders-map",
      at: START,
      timestamp: START,
      from: { topic: "orders", partition: 0, position: -1 },
      missed: [],
      stores: "<",
    });
    expect(await desk.letter(box, 1)).toMatchObject({ key: null, step: "", fingerprint: "", traceId: null, headers: [{ name: "a", value: null }] });
    expect((await desk.groups(box, {})).groups.map(({ fingerprint, count }) => [fingerprint, count])).toEqual([["", 2]]);
  });
});

describe("the audit", () => {
  test("with entries that are none, or of a later version, still says what the others do", async () => {
    const { log, desk } = await deskStand();
    await put(log, [deadLetter({}), deadLetter({})]);
    await desk.purge(box, { ids: [0] }, ann);
    const odd = ["null", "not json", "[]", '{"version":2}', "5"].map((value) => ({ key: "orders-dlq@1", value, timestamp: START, headers: [] }));
    await log.append([{ topic: "shop-audit", partition: 0, records: odd }]);

    expect((await desk.audit(Infinity, 10)).entries.map(({ action }) => action)).toEqual(["purge"]);
    expect((await desk.list(box, { limit: 10 })).letters.map(({ id, state }) => [id, state])).toEqual([[1, "open"]]);
    expect((await desk.letter(box, 1))?.history).toEqual([]);
  });

  test("is read page by page, the newest first", async () => {
    const { log, desk } = await deskStand();
    await put(log, Array.from({ length: 25 }, () => deadLetter()));
    for (let id = 0; id < 25; id++) await desk.purge(box, { ids: [id] }, { by: `operator ${id}` });

    const found: string[] = [];
    for (let before: number | null = Infinity; before !== null;) {
      const { entries, next }: Awaited<ReturnType<LetterDesk["audit"]>> = await desk.audit(before, 10);
      found.push(...entries.map(({ by }) => by));
      before = next;
    }
    expect(found).toEqual(Array.from({ length: 25 }, (_, index) => `operator ${24 - index}`));
  });
});
