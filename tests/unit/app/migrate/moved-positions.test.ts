/** Positions of records that move, where some of those before them were deleted: whatever names a record names the same one afterwards. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PositionMap } from "../../../../src/app/migrate/position-map.ts";
import { MovedPositions } from "../../../../src/app/migrate/moved-positions.ts";
import type { SurveyedPartition } from "../../../../src/app/migrate/survey.ts";
import type { HeaderField, NewRecord } from "../../../../src/record/record.ts";
import { headerText } from "../../../../src/record/headers.ts";
import { packRow, unpackRow } from "../../../../src/state/row-bytes.ts";
import { auditRecord, type Change, readAudit } from "../../../../src/task/audit.ts";
import { controlRecord, readControl } from "../../../../src/task/control-topic.ts";
import { packPending, type PendingRecord, unpackPending } from "../../../../src/task/pending.ts";
import { readRetry, RETRY_HEADER, retryHeader, type RetryNote } from "../../../../src/task/retry-topic.ts";
import { SEED } from "../../task/harness.ts";

/** A partition with records at these positions. */
function partition(topic: string, number: number, positions: readonly number[], base = 0): SurveyedPartition {
  const map = new PositionMap();
  for (const position of positions) map.add(position);
  map.base = base;
  return { topic, partition: number, from: positions[0] ?? 0, end: (positions.at(-1) ?? -1) + 1, bytes: 0, committed: null, positions: map };
}

const moved = new MovedPositions("shop", [
  partition("orders", 0, [10, 11, 13, 20]),
  partition("orders", 1, [4, 5], 7),
  partition("orders-dlq", 0, [3, 4]),
  partition("shop-retry", 0, [100, 102, 103]),
  partition("shop-retry", 1, [50]),
  partition("shop-control", 0, [6, 9]),
]);

const pending: PendingRecord = {
  entrance: "orders",
  record: { key: new Uint8Array([1]), value: new Uint8Array([2]), headers: [{ name: "own", value: new Uint8Array([3]) }], timestamp: 5, position: 13 },
  resultKey: null,
  chain: "a",
  heldClock: 1,
  judgedClock: 2,
  arrivedAt: 3,
  attempts: 4,
  nextTryAt: 5,
  budgetFrom: 6,
  blocksPartition: true,
  retryPosition: -1,
  replay: null,
};

function pendingMoved(of: Partial<PendingRecord>, key: string, task = 0): { readonly key: string; readonly row: PendingRecord } {
  const row = moved.ofRows("orders#pending", task)!({ time: 0, key, value: packPending({ ...pending, ...of }).slice() })!;
  return { key: row.key, row: unpackPending(row.value) };
}

const at = (position: number): PendingRecord["record"] => ({ ...pending.record, position });
const digits = (position: number): string => String(position).padStart(16, "0");

describe("MG06 a position", () => {
  test("is that of the same record, or of the next one that is there, whatever gaps there were", () => {
    const gaps = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 6 })), { maxLength: 20 });
    fc.assert(
      fc.property(gaps, fc.nat(100), fc.nat(9), (runs, start, base) => {
        const positions: number[] = [];
        let next = start;
        for (const [gap, count] of runs) {
          next += gap;
          for (let n = 0; n < count; n++) positions.push(next++);
        }
        const { positions: map } = partition("t", 0, positions, base);
        expect(map.count).toBe(positions.length);
        positions.forEach((position, rank) => expect(map.old(rank)).toBe(position));
        for (let position = Math.max(0, start - 2); position < next + 3; position++) {
          const rank = positions.indexOf(position), behind = positions.findIndex((other) => other >= position);
          expect(map.of(position)).toBe(rank < 0 ? null : base + rank);
          expect(map.next(position)).toBe(base + (behind < 0 ? positions.length : behind));
        }
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test("of a pending record and its row: what fails later has another", () => {
    expect(pendingMoved({}, `orders\n${digits(13)}`)).toEqual({ key: `orders\n${digits(2)}`, row: { ...pending, record: at(2) } });
    expect(pendingMoved({ record: at(5) }, `orders\n${digits(5)}`, 1)).toEqual({ key: `orders\n${digits(8)}`, row: { ...pending, record: at(8) } });
  });

  test("of a pending record that was deleted is none, and its row lies before all others, as it did", () => {
    const gone = pendingMoved({ record: at(9) }, `orders\n${digits(9)}`);
    expect(gone.row.record.position).toBe(-1);
    const keys = [8, 9, 12].map((position) => pendingMoved({ record: at(position) }, "").key);
    expect(new Set(keys).size).toBe(3);
    expect([...keys].sort()).toEqual(keys);
    expect([`orders\n${digits(0)}`, gone.key].sort()[0]).toBe(gone.key);
  });

  test("of a result of a step there is none", () => {
    const key = `step:sum\n${digits(13)}`;
    expect(pendingMoved({ entrance: "step:sum", record: at(-1) }, key)).toEqual({ key, row: { ...pending, entrance: "step:sum", record: at(-1) } });
  });

  test("of a record to be tried out of turn is that in the topic of retries, of the task's own partition", () => {
    const replay = { letter: { topic: "orders-dlq", position: 4 }, run: 2 };
    const found = pendingMoved({ retryPosition: 103, replay }, `orders\nretry ${digits(103)}`);
    expect(found.key).toBe(`orders\nretry ${digits(2)}`);
    expect(found.row).toEqual({ ...pending, record: at(2), retryPosition: 2, replay: { letter: { topic: "orders-dlq", position: 1 }, run: 2 } });
    const gone = pendingMoved({ retryPosition: 51, record: at(-1) }, `orders\nretry ${digits(51)}`, 1);
    expect(gone.key).toBe(`orders\nretry -${digits(51)}`);
    expect(gone.row.retryPosition).toBeGreaterThanOrEqual(0);
  });

  test("up to which orders and retries were done stands for the same ones; letters that are gone need not be known", () => {
    const move = (key: string, value: number, task = 0): readonly [string, unknown] | null => {
      const row = moved.ofRows("orders#orders", task)!({ time: 0, key, value: packRow([value]).slice() });
      return row === null ? null : [row.key, unpackRow(row.value)];
    };
    expect(move("read", 103)).toEqual(["read", [2]]);
    expect(move("read", 51, 1)).toEqual(["read", [1]]);
    expect(move("taken orders", 101)).toEqual(["taken orders", [1]]);
    expect(move("seek orders", 7)).toEqual(["seek orders", [1]]);
    expect(move("letter orders-dlq@3#1", 1_000)).toEqual(["letter orders-dlq@0#1", [1_000]]);
    expect(move("letter orders-dlq@2#1", 1_000)).toBeNull();
  });

  test("in letters, retries, orders and audit", () => {
    const header = (record: NewRecord, name: string): HeaderField["value"] => record.headers!.find((field) => field.name === name)!.value;
    const letter = (topic: string, position: number): NewRecord => {
      const headers = Object.entries({ "mr-topic": topic, "mr-partition": "1", "mr-position": String(position), "mr-replay-of": "orders-dlq@4" });
      return moved.ofRecords("orders-dlq")!({ key: null, value: "v", timestamp: 1, headers: headers.map(([name, value]) => ({ name, value })) });
    };
    expect(header(letter("orders", 5), "mr-position")).toBe("8");
    expect(header(letter("orders", 3), "mr-position")).toBe("-1");
    expect(header(letter("step:sum", -1), "mr-position")).toBe("-1");
    expect(headerText(header(letter("orders", 5), "mr-replay-of"))).toBe("orders-dlq@1");

    const note: RetryNote = {
      entrance: "orders",
      partition: 0,
      position: 20,
      timestamp: 1,
      key: null,
      attempts: 1,
      dueAt: 2,
      arrivedAt: 3,
      budgetFrom: 4,
      missed: null,
      replay: { letter: { topic: "orders-dlq", position: 3 }, run: 1 },
    };
    const retry = moved.ofRecords("shop-retry")!({ key: null, value: "v", timestamp: 1, headers: [{ name: "own", value: "x" }, retryHeader(note)] });
    expect(readRetry(header(retry, RETRY_HEADER) as Uint8Array)).toEqual({
      ...readRetry(retryHeader(note).value as Uint8Array),
      position: 3,
      replay: { letter: { topic: "orders-dlq", position: 0 }, run: 1 },
    });
    expect(header(retry, "own")).toBe("x");

    const audit = (change: Change): Change => {
      const { key, value, timestamp } = auditRecord({ at: 7, by: "ann", change });
      const record = moved.ofRecords("shop-audit")!({ key, value: new TextEncoder().encode(value as string), timestamp, headers: [] });
      expect(record.timestamp).toBe(7);
      return readAudit(new TextEncoder().encode(record.value as string)).change;
    };
    const replayed = { action: "replayed", letter: { topic: "orders-dlq", position: 4 }, run: 1 } as const;
    expect(audit(replayed)).toEqual({ ...replayed, letter: { topic: "orders-dlq", position: 1 } });
    const seek = { action: "seek", topic: "orders", partition: 0, from: 11, to: 14, reason: null } as const;
    expect(audit(seek)).toEqual({ ...seek, from: 1, to: 3 });
    const pause = { action: "pause", topic: "orders", partition: null, reason: "why" } as const;
    expect(audit(pause)).toEqual(pause);

    const { value } = controlRecord({ topic: "orders", partition: 0, order: { kind: "seek", to: 13 }, at: 1, by: "ann", reason: null });
    const order = moved.ofRecords("shop-control")!({ key: "k", value: new TextEncoder().encode(value as string), timestamp: 1 });
    expect(readControl(new TextEncoder().encode(order.value as string))?.order).toEqual({ kind: "seek", to: 2 });
    expect(order.key).toBe("k");
  });

  test("is looked for in topics and stores of the app's own alone", () => {
    expect(moved.ofRecords("orders")).toBeNull();
    expect(moved.ofRecords("other-dlq")).toBeNull();
    expect(moved.ofRows("orders#clocks", 0)).toBeNull();
  });
});
