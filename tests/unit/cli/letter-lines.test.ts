/** Letters as people see them in a terminal: whole texts, so that nobody changes them by chance. */
import { describe, expect, test } from "bun:test";
import { toBase64 } from "../../../src/base/bytes.ts";
import { auditLines } from "../../../src/cli/commands/audit.ts";
import { orderLines } from "../../../src/cli/commands/control.ts";
import { editLines } from "../../../src/cli/commands/letters-edit.ts";
import { purgedLines } from "../../../src/cli/commands/letters-purge.ts";
import { orderedLines, replayedLines } from "../../../src/cli/commands/letters-replay.ts";
import { statusLines } from "../../../src/cli/commands/status.ts";
import { groupLines, letterLines, sourceLines, wholeLetterLines } from "../../../src/cli/letters/letter-lines.ts";
import type { LetterWord } from "../../../src/cli/letters/letter-flags.ts";
import { commandText } from "../../../src/cli/operator.ts";
import type { LetterGroup, LetterSummary, LetterView } from "../../../src/letter/letter-view.ts";

const DEAD: LetterWord = { kind: "dead", word: "dlq" };
const LATE: LetterWord = { kind: "late", word: "late" };
const NOON = Date.UTC(2026, 0, 1, 12);
const command = commandText({ file: "app.ts", url: undefined, tokenEnv: undefined, directory: "my data" });

const group: LetterGroup = {
  fingerprint: "1a2b3c4d",
  count: 60,
  open: 58,
  step: "price",
  error: "TypeError",
  code: null,
  message: "The price of order o1\nis text",
  first: NOON,
  last: NOON + 1_000,
  example: 59,
};

const summary: LetterSummary = {
  id: 17,
  state: "open",
  isEdited: true,
  step: "price",
  from: { topic: "orders", partition: 0, position: 1_234 },
  timestamp: NOON,
  at: NOON + 5_000,
  key: "ann",
  fingerprint: "1a2b3c4d",
  attempts: 3,
  error: "TypeError",
  code: "ECONNREFUSED",
  message: "no \u001b[2J",
  latenessMs: null,
  replayOf: null,
};

const letter: LetterView = {
  id: 17,
  source: "orders",
  kind: "dead",
  topic: "orders-dlq",
  state: "replayed",
  step: "price",
  from: { topic: "orders", partition: 0, position: 1_234 },
  timestamp: NOON,
  at: NOON + 5_000,
  fingerprint: "1a2b3c4d",
  traceId: "0af7651916cd43dd8448eb211c80319c",
  attempts: 3,
  error: { name: "TypeError", message: "Cannot read\nprice", code: null, stack: "TypeError: Cannot read\n    at price (app.ts:3:9)" },
  latenessMs: null,
  missed: [],
  stores: { total: 12 },
  replayOf: "orders-dlq@3",
  key: "ann",
  value: { price: 12 },
  original: { value: { price: "12" } },
  headers: [{ name: "traceparent", value: "00-0af7" }, { name: "empty", value: null }],
  history: [
    { id: 1, at: NOON + 10_000, by: "ann", action: "edit", letter: { topic: "orders-dlq", position: 17 }, valueBytes: 12 },
    { id: 2, at: NOON + 11_000, by: "bob", action: "replay", letter: { topic: "orders-dlq", position: 17 }, run: 1 },
    { id: 3, at: NOON + 12_000, by: "millrace", action: "replayed", letter: { topic: "orders-dlq", position: 17 }, run: 1 },
    { id: 4, at: NOON + 13_000, by: "bob", action: "replay", letter: { topic: "orders-dlq", position: 17 }, run: 2 },
  ],
};

describe("lists", () => {
  test("of sources: those that have letters, and what to type next", () => {
    const none = { open: 0, queued: 0, replayed: 0, purged: 0 };
    const orders = { source: "orders", kind: "dead", topic: "orders-dlq", ...none, open: 100, replayed: 7 } as const;

    expect(sourceLines(DEAD, [orders, { source: "others", kind: "dead", topic: "others-dlq", ...none }], command)).toEqual([
      "SOURCE  OPEN  QUEUED  REPLAYED  PURGED  TOPIC",
      "orders   100       0         7       0  orders-dlq",
      "What failed how: millrace dlq list app.ts <source> --dir 'my data'",
    ]);
    expect(sourceLines(LATE, [], command)).toEqual(["There are no late letters."]);
  });

  test("of groups: one line each, however many the error has", () => {
    expect(groupLines(DEAD, "orders", [group], command)).toEqual([
      "FINGERPRINT  COUNT  OPEN  STEP   FIRST                 LAST                  EXAMPLE  ERROR",
      "1a2b3c4d        60    58  price  2026-01-01T12:00:00Z  2026-01-01T12:00:01Z       59  TypeError: The price of order o1 is text",
      "All that is known of one: millrace dlq show app.ts orders 59 --dir 'my data'",
    ]);
    expect(groupLines(DEAD, "orders", [], command)).toEqual(['"orders" has no such dead letters.']);
  });

  test("of single letters, with nothing that a terminal would obey", () => {
    const late: LetterSummary = { ...summary, id: 18, isEdited: false, error: null, code: null, message: null, latenessMs: 61_500, from: { topic: "step:sum", partition: 1, position: -1 } };

    expect(letterLines(DEAD, "orders", { letters: [summary, late], next: 18 })).toEqual([
      "ID  STATE         FAILED                STEP   RECORD            KEY    FINGERPRINT  WHY",
      '17  open, edited  2026-01-01T12:00:05Z  price  orders/0 at 1234  "ann"  1a2b3c4d     TypeError (ECONNREFUSED): no \\u{1b}[2J',
      '18  open          2026-01-01T12:00:05Z  price  step:sum/1        "ann"  1a2b3c4d     61.5 s late',
      "More of them: --after 18",
    ]);
  });
});

describe("one letter", () => {
  test("says everything", () => {
    expect(wholeLetterLines(letter).join("\n")).toBe(`letter 17 of orders-dlq: replayed
  why        TypeError: Cannot read price
  step       price
  record     orders/0 at 1234, event time 2026-01-01T12:00:00Z
  failed     2026-01-01T12:00:05Z, after 3 tries
  alike      fingerprint 1a2b3c4d
  trace      0af7651916cd43dd8448eb211c80319c
  replay of  orders-dlq@3

key
  "ann"

value, as it was edited
  {
    "price": 12
  }

value, as it was
  {
    "price": "12"
  }

headers
  traceparent: 00-0af7
  empty: (null)

what the stores had for its key
  {
    "total": 12
  }

history
  2026-01-01T12:00:10Z  ann gave it another value, 12 bytes
  2026-01-01T12:00:11Z  bob ordered its replay
  2026-01-01T12:00:12Z  it was tried again
  2026-01-01T12:00:13Z  bob ordered its replay, number 2

stack
  TypeError: Cannot read
      at price (app.ts:3:9)`);
  });

  test.each<readonly [string, object, readonly string[]]>([
    ["text", { valueText: "a\u0007b" }, ["  a\\u{7}b"]],
    ["a tombstone", { tombstone: true }, ["  (none: a tombstone)"]],
    ["bytes", { valueBase64: toBase64(new Uint8Array([0, 65, 255])) }, [`  00000000  00 41 ff${" ".repeat(39)}  .A.`]],
  ])("shows a value that is %s", (_what, shown, lines) => {
    const { value: _value, ...rest } = { ...letter, value: null };
    const all = wholeLetterLines({ ...rest, ...shown, original: null, headers: [] } as unknown as LetterView);

    expect(all.slice(all.indexOf("value") + 1, all.indexOf("what the stores had for its key") - 1)).toEqual([...lines]);
  });

  test("a late one says how late, and which windows it missed", () => {
    const lines = wholeLetterLines({ ...letter, error: null, attempts: 0, latenessMs: 90_000, missed: [{ start: NOON, end: NOON + 60_000 }], stores: null });

    expect(lines.slice(1, 3)).toEqual(["  why        90 s late", "  missed     2026-01-01T12:00:00Z to 2026-01-01T12:01:00Z"]);
    expect(lines).not.toContain("what the stores had for its key");
  });
});

describe("what was done", () => {
  const choice = { source: "orders", ids: [], filter: { fingerprint: "1a2b3c4d" }, all: false };

  test("to values, and what would be", () => {
    const change = { id: 17, before: { price: "12" }, after: { price: 12 }, given: {} };

    expect(editLines(DEAD, { choice, isDryRun: false }, [change], 2, command)).toEqual([
      "2 letters selected, 1 changed",
      "To have them tried again: millrace dlq replay app.ts orders --fingerprint 1a2b3c4d --dir 'my data'",
    ]);
    expect(editLines(DEAD, { choice, isDryRun: true }, Array.from({ length: 11 }, () => change), 11, command).slice(-11)).toEqual([
      "    }",
      "",
      "letter 17",
      "    {",
      '  -   "price": "12"',
      '  +   "price": 12',
      "    }",
      "",
      "… and 1 more: --json has them all",
      "",
      "11 letters selected, 11 would be changed",
    ]);
  });

  test("by a replay, with what was left alone and why", () => {
    const answer = { selected: 5, queued: 2, already: 1, unfit: 2, ids: [1, 2], problems: [{ id: 3, reason: 'the app has no step "sum" any more' }] };

    expect(orderedLines(answer, { isDryRun: false, isAgain: false })).toEqual([
      "5 letters selected, 2 to be replayed",
      "1 left alone: queued, replayed or purged before; --again takes those that were replayed",
      "2 cannot be replayed:",
      '  letter 3: the app has no step "sum" any more',
      "  … and 1 more",
    ]);
    expect(replayedLines(DEAD, "orders", { taken: 2, failedAgain: 1, left: 3 }, command)).toEqual([
      "2 replayed: 1 went through, 1 failed again",
      "Those are new letters: millrace dlq list app.ts orders --dir 'my data'",
      "3 are not done, none for 30 s: they wait for their next try, or their partition is paused or has stopped: millrace status app.ts --dir 'my data'",
    ]);
    expect(replayedLines(LATE, "orders", { taken: 2, failedAgain: 1, left: 0 }, command)[0]).toBe("2 replayed: 1 went through, 1 late again");
  });

  test("by a purge", () => {
    expect(purgedLines({ selected: 3, purged: 1, already: 2, ids: [] }, { isDryRun: true })).toEqual([
      "3 letters selected, 1 would be purged",
      "2 left alone: purged before, or waiting to be replayed",
    ]);
  });

  test("to partitions, or what will be", () => {
    const commands = [{ topic: "orders", partition: 0, id: 7, to: 120 }];

    expect(orderLines("seek", { commands, applied: true })).toEqual(["orders/0 goes on at position 120"]);
    expect(orderLines("pause", { commands: [{ topic: "orders", partition: 0, id: 8 }], applied: false })).toEqual(["orders/0 will be paused"]);
  });
});

describe("status and audit", () => {
  test("each partition with where it is and why it does not move", () => {
    const at = { topic: "orders", task: "price/0", start: 0, position: 120, end: 130, lag: 10, reason: null, paused: null };
    const lines = statusLines([{
      where: "http://127.0.0.1:8080 (process 4711)",
      health: { status: "degraded", reason: "task price/1 has stopped" },
      partitions: [
        { ...at, partition: 0, status: "paused", paused: { since: NOON, by: "ann", reason: "bad deploy" } },
        { ...at, partition: 1, status: "stopped", reason: "its policy says so" },
        { ...at, partition: 2, status: "running", position: null },
      ],
    }]);

    expect(lines).toEqual([
      "http://127.0.0.1:8080 (process 4711): degraded: task price/1 has stopped",
      "",
      "PARTITION  TASK     STATUS   POSITION  END  LAG  WHY",
      "orders/0   price/0  paused        120  130   10  by ann since 2026-01-01T12:00:00Z: bad deploy",
      "orders/1   price/0  stopped       120  130   10  its policy says so",
      "orders/2   price/0  running         -  130   10",
    ]);
  });

  test("what health says, though the log does not answer for partitions", () => {
    const health = { status: "degraded", reason: "the log does not answer: no broker" };

    expect(statusLines([{ where: "w0", health, partitions: [], trouble: "no answer within 5 s" }])).toEqual([
      "w0: degraded: the log does not answer: no broker",
      "  its partitions are not known: no answer within 5 s",
    ]);
  });

  test("of several workers each partition once, as the worker that has it tells it", () => {
    const at = { topic: "orders", task: "price/0", start: 0, position: 1, end: 1, lag: 0, reason: null, paused: null };
    const worker = (where: string, ...statuses: readonly string[]) => ({ where, health: { status: "ok" }, partitions: statuses.map((status, partition) => ({ ...at, partition, status })) });

    expect(statusLines([worker("w0", "running", "elsewhere", "elsewhere"), worker("w1", "elsewhere", "running", "elsewhere")])).toEqual([
      "w0: ok",
      "w1: ok",
      "",
      "PARTITION  TASK     WORKER  STATUS     POSITION  END  LAG  WHY",
      "orders/0   price/0  w0      running           1    1    0",
      "orders/1   price/0  w1      running           1    1    0",
      "orders/2   price/0  -       elsewhere         1    1    0",
    ]);
  });

  test("each change with who made it", () => {
    const entries = [
      { id: 9, at: NOON, by: "ann", action: "seek", topic: "orders", partition: 0, from: 12, to: 13, reason: "poison" },
      { id: 8, at: NOON, by: "bob", action: "purge", letter: { topic: "orders-dlq", position: 17 } },
    ];

    expect(auditLines({ entries, next: 8 }, 50)).toEqual([
      "AT                    BY   ACTION  WHAT",
      "2026-01-01T12:00:00Z  ann  seek    orders/0, from 12, to 13, reason poison",
      "2026-01-01T12:00:00Z  bob  purge   orders-dlq@17",
      "Older ones: --after 8",
    ]);
    expect(auditLines({ entries: [], next: null }, 50)).toEqual(["Nothing has been changed."]);
  });

  test("letters that were changed together are one line of the audit", () => {
    const edit = (id: number, at: number, bytes: number) => ({ id, at, by: "ann", action: "edit", letter: { topic: "orders-dlq", position: id }, bytes });
    const replay = (id: number) => ({ id, at: NOON, by: "ann", action: "replay", letter: { topic: "orders-dlq", position: id }, run: 1 });
    const entries = [replay(9), replay(8), replay(7), edit(6, NOON, 12), edit(5, NOON, 13), edit(4, NOON - 1_000, 12)];

    expect(auditLines({ entries, next: null }, 2)).toEqual([
      "AT                    BY   ACTION  WHAT",
      "2026-01-01T12:00:00Z  ann  replay  orders-dlq@7 to 9, 3 letters, run 1",
      "2026-01-01T12:00:00Z  ann  edit    orders-dlq@5 to 6, 2 letters",
      "Older ones: --after 5",
    ]);
    expect(auditLines({ entries, next: null }, 3).at(-1)).toBe("2026-01-01T11:59:59Z  ann  edit    orders-dlq@4, bytes 12");
  });
});
