/**
 * What a `read_committed` reader sees of a fetch answer. Method: random histories of several producers (transactions that commit, abort or are still open, plain records between, batches that
 * compaction has emptied) are cut into answers as a broker cuts them, and what comes out is held against a model that knows each transaction's end.
 */
import { describe, expect, test } from "bun:test";
import { visibleRuns } from "../../../adapters/kafka/pure/aborted.ts";
import { writeInt16, writeInt32 } from "../../../src/base/bytes.ts";
import { Random } from "../../../src/base/random.ts";
import { ATTRIBUTES_AT, basePosition, batchSize, CONTROL_BIT, CRC_AT, lastDelta, TRANSACTIONAL_BIT } from "../../../src/record/batch.ts";
import { crc32c } from "../../../src/record/crc32c.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

const seed = 20261121;
const MARKER_COMMIT = 1;
const MARKER_ABORT = 0;

interface Made {
  readonly bytes: Uint8Array;
  readonly base: number;
  readonly next: number;
  /** Of the transaction it belongs to; null for records outside of one. */
  readonly transaction: Transaction | null;
  readonly isMarker: boolean;
}

interface Transaction {
  readonly producer: number;
  readonly first: number;
  end: "commit" | "abort" | null;
  /** Position of its marker. */
  last: number;
}

function batch(base: number, count: number, producer: number, isTransactional: boolean): Uint8Array {
  const encoder = new BatchEncoder();
  for (let i = 0; i < count; i++) encoder.append(1_793_491_200_000, null, `${base + i}`, null);
  return encoder.seal(base, { id: producer, epoch: 0, sequence: 0, transactional: isTransactional }).slice();
}

function marker(base: number, producer: number, type: number): Uint8Array {
  const encoder = new BatchEncoder();
  const key = new Uint8Array(4);
  writeInt16(key, 2, type);
  encoder.append(1_793_491_200_000, key, new Uint8Array(6), null);
  const bytes = encoder.seal(base, { id: producer, epoch: 0, sequence: -1, transactional: true }).slice();
  writeInt16(bytes, ATTRIBUTES_AT, TRANSACTIONAL_BIT | CONTROL_BIT);
  writeInt32(bytes, CRC_AT, crc32c(bytes, ATTRIBUTES_AT, bytes.length));
  return bytes;
}

/** A partition's history, and its last stable position. */
function history(random: Random, steps: number): { batches: Made[]; transactions: Transaction[]; stable: number } {
  const batches: Made[] = [];
  const transactions: Transaction[] = [];
  const open = new Map<number, Transaction>();
  let at = 0;
  const add = (bytes: Uint8Array, next: number, transaction: Transaction | null, isMarker: boolean): void => {
    batches.push({ bytes, base: at, next, transaction, isMarker });
    at = next;
  };
  for (let i = 0; i < steps; i++) {
    const producer = 1 + random.below(4);
    const transaction = open.get(producer);
    const kind = random.below(10);
    if (kind < 2) {
      const count = 1 + random.below(3);
      add(batch(at, count, random.below(2) === 0 ? -1 : 9, false), at + count, null, false);
    } else if (transaction !== undefined && kind < 6) {
      transaction.end = random.below(2) === 0 ? "commit" : "abort";
      transaction.last = at;
      open.delete(producer);
      add(marker(at, producer, transaction.end === "commit" ? MARKER_COMMIT : MARKER_ABORT), at + 1, transaction, true);
    } else {
      const current = transaction ?? { producer, first: at, end: null, last: Infinity };
      if (transaction === undefined) {
        transactions.push(current);
        open.set(producer, current);
      }
      const count = 1 + random.below(4);
      add(batch(at, count, producer, true), at + count, current, false);
    }
    // A gap, as compaction leaves it.
    if (random.below(12) === 0) at += 1 + random.below(5);
  }
  return { batches, transactions, stable: Math.min(at, ...[...open.values()].map(({ first }) => first)) };
}

/** What a broker answers to a fetch from `position`: batches below the stable position up to about `bytesMax`, the last one perhaps cut, and the aborted transactions that touch them. */
function answer(
  made: ReturnType<typeof history>,
  position: number,
  bytesMax: number,
): { bytes: Uint8Array; aborted: { producerId: number; firstPosition: number }[] } {
  const from = made.batches.filter(({ next, base }) => next > position && base < made.stable);
  const parts: Uint8Array[] = [];
  let length = 0;
  let end = position;
  for (const { bytes, next } of from) {
    parts.push(length === 0 ? bytes : bytes.subarray(0, Math.max(0, bytesMax - length)));
    length += bytes.length;
    end = next;
    if (length >= bytesMax) break;
  }
  const aborted = made.transactions
    .filter((one) => one.end === "abort" && one.last >= position && one.first < end)
    .map(({ producer, first }) => ({ producerId: producer, firstPosition: first }));
  return { bytes: Buffer.concat(parts), aborted };
}

/** Base positions of the batches in the runs. */
function bases(bytes: Uint8Array, runs: readonly { readonly start: number; readonly end: number }[]): number[] {
  const found: number[] = [];
  for (const run of runs) for (let at = run.start; at < run.end; at += batchSize(bytes, at)) found.push(basePosition(bytes, at));
  return found;
}

/** All that a reader sees, in answers of about `bytesMax`. */
function readThrough(made: ReturnType<typeof history>, from: number, bytesMax: number, random: Random): { seen: number[]; position: number } {
  const seen: number[] = [];
  let position = from;
  for (;;) {
    const { bytes, aborted } = answer(made, position, bytesMax);
    const visible = visibleRuns(bytes, 0, bytes.length, random.shuffle(aborted), position);
    seen.push(...bases(bytes, visible.runs));
    let behind = position;
    for (const run of visible.runs) {
      expect(run.nextPosition).toBeGreaterThan(behind);
      behind = run.nextPosition;
    }
    if (visible.runs.length > 0) expect(behind).toBe(visible.nextPosition);
    if (visible.nextPosition === position) return { seen, position };
    position = visible.nextPosition;
  }
}

describe("aborted transactions", () => {
  test("L2 random histories, cut anywhere, give what was committed, once and in order", () => {
    const random = new Random(seed);
    let dropped = 0;
    for (let round = 0; round < 400; round++) {
      const made = history(random, 5 + random.below(60));
      const from = random.below(3) === 0 ? random.below(40) : 0;
      const expected = made.batches
        .filter(({ base, next, isMarker, transaction }) =>
          base < made.stable && next > from && !isMarker && (transaction === null || transaction.end === "commit")
        )
        .map(({ base }) => base);
      const readable = made.batches.filter(({ base, next }) => base < made.stable && next > from);
      dropped += readable.length - expected.length;

      const { seen, position } = readThrough(made, from, 100 + random.below(2_000), random);

      expect({ round, seen }).toEqual({ round, seen: expected });
      expect({ round, position }).toEqual({ round, position: readable.at(-1)?.next ?? from });
    }
    expect(dropped).toBeGreaterThan(1_000);
  });

  test("L2 two aborted transactions of one producer in one answer, a committed one between them", () => {
    const parts = [
      batch(0, 2, 7, true),
      marker(2, 7, MARKER_ABORT),
      batch(3, 1, 7, true),
      marker(4, 7, MARKER_COMMIT),
      batch(5, 3, 7, true),
      marker(8, 7, MARKER_ABORT),
      batch(9, 1, 7, false),
    ];
    const bytes = Buffer.concat(parts);
    const aborted = [{ producerId: 7, firstPosition: 5 }, { producerId: 7, firstPosition: 0 }];

    const { runs, nextPosition } = visibleRuns(bytes, 0, bytes.length, aborted, 0);

    expect(bases(bytes, runs)).toEqual([3, 9]);
    expect(runs.map((run) => run.nextPosition)).toEqual([9, 10]);
    expect(nextPosition).toBe(10);
  });

  test("L2 a transaction that spans answers stays left out, and reading goes on behind it", () => {
    const first = Buffer.concat([batch(0, 1, -1, false), batch(1, 2, 7, true), batch(3, 2, 7, true)]);
    const second = Buffer.concat([batch(5, 2, 7, true), batch(7, 1, 8, true), marker(8, 7, MARKER_ABORT), marker(9, 8, MARKER_COMMIT)]);
    const aborted = [{ producerId: 7, firstPosition: 1 }];

    const one = visibleRuns(first, 0, first.length, aborted, 0);
    expect([bases(first, one.runs), one.nextPosition]).toEqual([[0], 5]);
    const two = visibleRuns(second, 0, second.length, aborted, 5);
    expect([bases(second, two.runs), two.nextPosition]).toEqual([[7], 10]);
    expect(two.runs[0]!.nextPosition).toBe(10);
  });

  test("L2 batches that are cut off, below the position, or emptied by compaction are no part of it", () => {
    const below = batch(0, 2, -1, false);
    const emptied = batch(2, 3, -1, false).slice(0, 61);
    writeInt32(emptied, 8, 49);
    writeInt32(emptied, 57, 0);
    expect(lastDelta(emptied, 0)).toBe(2);
    const bytes = Buffer.concat([below, emptied, batch(5, 1, -1, false), batch(6, 1, -1, false).subarray(0, 65)]);

    const { runs, nextPosition } = visibleRuns(bytes, 0, bytes.length, [], 2);

    expect([bases(bytes, runs), nextPosition]).toEqual([[5], 6]);
    expect(visibleRuns(bytes, 0, 5, [], 4)).toEqual({ runs: [], nextPosition: 4 });
  });

  test("positions beyond 2^32 and a batch of another version", () => {
    const far = 2 ** 40;
    const bytes = batch(far, 2, 2 ** 33 + 1, true);
    expect(visibleRuns(bytes, 0, bytes.length, [{ producerId: 2 ** 33 + 1, firstPosition: far }], far)).toEqual({ runs: [], nextPosition: far + 2 });
    expect(visibleRuns(bytes, 0, bytes.length, [{ producerId: 1, firstPosition: far }], far).nextPosition).toBe(far + 2);
    expect(visibleRuns(bytes, 0, bytes.length, [{ producerId: 1, firstPosition: far }], far).runs.length).toBe(1);
    bytes[16] = 1;
    expect(() => visibleRuns(bytes, 0, bytes.length, [], far)).toThrow(expect.objectContaining({ code: "RECORD_CORRUPT" }));
  });
});
