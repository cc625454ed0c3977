/** Fetch requests and answers. Method: another client's writer and reader of the same version stand on the other side, and answers are cut off at every byte. */
import { fetchV13, Reader, ResponseError, Writer } from "@platformatic/kafka";
import { describe, expect, test } from "bun:test";
import { fetchBytes, parseFetch } from "../../../adapters/kafka/pure/fetch-protocol.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";

const ID = "0123456789abcdef0123456789abcdef";
const OTHER_ID = "ffffffffffffffffffffffffffffffff";
const uuid = (id: string): string => id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");

interface Part {
  readonly partition: number;
  readonly errorCode: number;
  readonly stableEnd: bigint;
  readonly aborted: readonly (readonly [bigint, bigint])[] | null;
  readonly records: Uint8Array | null;
}

/** An answer as a broker writes it; with tagged fields, which nobody asked for. */
function answer(topics: readonly (readonly [string, readonly Part[]])[], errorCode = 0): Buffer {
  return Writer.create()
    .appendInt32(0)
    .appendInt16(errorCode)
    .appendInt32(0)
    .appendArray([...topics], (w, [id, parts]) => {
      w.appendUUID(uuid(id)).appendArray(
        [...parts],
        (w, part) => {
          w.appendInt32(part.partition).appendInt16(part.errorCode).appendInt64(part.stableEnd + 5n).appendInt64(part.stableEnd).appendInt64(0n)
            .appendArray(part.aborted === null ? null : [...part.aborted], (w, [producer, first]) => w.appendInt64(producer).appendInt64(first))
            .appendInt32(-1)
            .appendBytes(part.records === null ? null : Buffer.from(part.records));
          // The current leader.
          w.appendUnsignedVarInt(1).appendUnsignedVarInt(1).appendUnsignedVarInt(9).appendInt32(3).appendInt32(7).appendUnsignedInt8(0);
        },
        true,
        false,
      );
    })
    .appendTaggedFields()
    .buffer;
}

function batch(position: number): Uint8Array {
  const encoder = new BatchEncoder();
  encoder.append(0, "k", "v".repeat(300), null);
  return encoder.seal(position).slice();
}

describe("fetch protocol", () => {
  test("a request is what another client would send", () => {
    const partitions = Array.from({ length: 200 }, (_, partition) => ({ partition, leaderEpoch: 3, position: 2 ** 40 + partition }));
    const ours = fetchBytes({
      maxWaitMs: 500,
      bytesMax: 1_000_000,
      partitionBytesMax: 262_144,
      topics: new Map([[ID, partitions], [OTHER_ID, partitions.slice(0, 1)]]),
    });
    const theirs = (all: typeof partitions) =>
      all.map(({ partition, leaderEpoch, position }) => ({
        partition,
        currentLeaderEpoch: leaderEpoch,
        fetchOffset: BigInt(position),
        lastFetchedEpoch: -1,
        partitionMaxBytes: 262_144,
      }));
    const topics = [{ topicId: uuid(ID), partitions: theirs(partitions) }, { topicId: uuid(OTHER_ID), partitions: theirs(partitions.slice(0, 1)) }];
    const request = fetchV13.createRequest(500, 1, 1_000_000, 1, 0, -1, topics, [], "");
    expect(ours.toString("hex")).toBe(request.buffer.toString("hex"));
  });

  test("an answer is read over its own bytes, as another client reads it", () => {
    const records = Buffer.concat([batch(7), batch(8)]);
    const bytes = answer([
      [ID, [
        { partition: 0, errorCode: 0, stableEnd: 9n, aborted: [[5n, 3n], [2n ** 40n, 4n]], records },
        { partition: 200, errorCode: 0, stableEnd: 2n ** 50n, aborted: null, records: null },
        { partition: 3, errorCode: 0, stableEnd: 1n, aborted: [], records: new Uint8Array(0) },
      ]],
      [OTHER_ID, [{ partition: 1, errorCode: 6, stableEnd: -1n, aborted: null, records: null }]],
    ]);

    const { errorCode, partitions } = parseFetch(bytes);

    expect(errorCode).toBe(0);
    expect(partitions.map(({ topicId, partition, errorCode, stableEnd, aborted }) => ({ topicId, partition, errorCode, stableEnd, aborted }))).toEqual([
      { topicId: ID, partition: 0, errorCode: 0, stableEnd: 9, aborted: [{ producerId: 5, firstPosition: 3 }, { producerId: 2 ** 40, firstPosition: 4 }] },
      { topicId: ID, partition: 200, errorCode: 0, stableEnd: 2 ** 50, aborted: [] },
      { topicId: ID, partition: 3, errorCode: 0, stableEnd: 1, aborted: [] },
      { topicId: OTHER_ID, partition: 1, errorCode: 6, stableEnd: -1, aborted: [] },
    ]);
    expect(partitions.map(({ start, end }) => end - start)).toEqual([records.length, 0, 0, 0]);
    expect(Buffer.compare(bytes.subarray(partitions[0]!.start, partitions[0]!.end), records)).toBe(0);
    let theirs: unknown = null;
    try {
      fetchV13.parseResponse(1, 1, 13, Reader.from(bytes));
    } catch (error) {
      theirs = error instanceof ResponseError ? error["response"] : error;
    }
    expect(theirs).toMatchObject({ responses: [{ topicId: uuid(ID) }, { topicId: uuid(OTHER_ID) }] });
  });

  test("an answer that is cut off anywhere is damage, never something else", () => {
    const bytes = answer([[ID, [{ partition: 0, errorCode: 0, stableEnd: 9n, aborted: [[5n, 3n]], records: batch(7) }]]], 0);
    expect(parseFetch(bytes).partitions.length).toBe(1);
    for (let length = 0; length < bytes.length - 1; length++) {
      expect(() => parseFetch(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: "RECORD_CORRUPT" }));
    }
    expect(parseFetch(answer([], 58)).errorCode).toBe(58);
  });
});
