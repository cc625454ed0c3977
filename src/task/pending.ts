/** How unresolved records lie in the `pending` store of their task: their bytes, their tries and their clock, never an effect. */
import { StoreError } from "../base/errors.ts";
import { packValue, unpackValue } from "../record/value-bytes.ts";
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { RetryNote } from "./retry-topic.ts";
import type { UnitRecord } from "./unit.ts";

/** An unresolved record as it is kept. */
export interface PendingRecord {
  readonly entrance: string;
  readonly record: UnitRecord;
  /** Of a step's result: its key. */
  readonly resultKey: unknown;
  readonly chain: string | null;
  readonly heldClock: number;
  readonly judgedClock: number;
  readonly arrivedAt: number;
  readonly attempts: number;
  /** Wall clock of the next try, ms; 0: at once. */
  readonly nextTryAt: number;
  readonly blocksPartition: boolean;
  /** -1: it is in its turn. */
  readonly retryPosition: number;
  readonly replay: RetryNote["replay"];
  readonly budgetFrom: number;
}

/** Of rows of records in their turn, which block nothing. */
const VERSION = 1;
/** Of rows that say more. */
const VERSION_MORE = 2;

/** The pending store of a sub-topology. */
export function pendingStore(subTopology: string): StoreSpec {
  return { name: `${subTopology}#pending`, fingerprint: "pending", pack: (value) => value as Uint8Array, unpack: (bytes) => bytes };
}

/**
 * Names that a sub-topology, or parts of it, had before: it is named after the topics it reads, and those change when streams are merged or parted. What was kept under them is
 * found by the stores that exist; `current` are the names in use.
 */
export function formerNames(stores: readonly string[], topics: readonly string[], current: readonly string[]): string[] {
  return stores.flatMap((store) => store.endsWith("#pending") ? [store.slice(0, -"#pending".length)] : []).filter((name) =>
    !current.includes(name) && name.split("+").some((topic) => topics.includes(topic))
  );
}

/** The store of a sub-topology's clocks. */
export function clockStore(subTopology: string): StoreSpec {
  return { name: `${subTopology}#clocks`, fingerprint: "clocks", pack: packRow, unpack: unpackRow };
}

export function packPending(pending: PendingRecord): Uint8Array {
  const { entrance, record, resultKey, chain, heldClock, judgedClock, arrivedAt, attempts, nextTryAt, blocksPartition, retryPosition, replay, budgetFrom } =
    pending;
  const headers = record.headers.map(({ name, value }) => [name, value]);
  const more = blocksPartition || retryPosition >= 0 || replay !== null
    ? [blocksPartition, retryPosition, replay === null ? null : [replay.letter.topic, replay.letter.position, replay.run], budgetFrom]
    : [];
  return packValue([
    more.length === 0 ? VERSION : VERSION_MORE,
    entrance,
    record.key,
    record.value,
    headers,
    record.timestamp,
    record.position,
    resultKey,
    chain,
    heldClock,
    judgedClock,
    arrivedAt,
    attempts,
    nextTryAt,
    ...more,
  ]);
}

export function unpackPending(bytes: Uint8Array): PendingRecord {
  const row = unpackValue(bytes) as readonly unknown[];
  if (row[0] !== VERSION && row[0] !== VERSION_MORE) {
    throw new StoreError("STORE_NEWER", `Cannot read a pending record: it has version ${String(row[0])}, wanted ${VERSION} or ${VERSION_MORE}`);
  }
  const [, entrance, key, value, headers, timestamp, position, resultKey, chain, heldClock, judgedClock, arrivedAt, attempts, nextTryAt, ...later] = row as [
    number,
    string,
    Uint8Array | null,
    Uint8Array | null,
    readonly [string, Uint8Array | string | null][],
    number,
    number,
    unknown,
    string | null,
    number,
    number,
    number,
    number,
    number,
    boolean?,
    number?,
    (readonly [string, number, number] | null)?,
    number?,
  ];
  const [blocksPartition = false, retryPosition = -1, replay = null, budgetFrom = arrivedAt] = later;
  return {
    entrance,
    record: { key, value, headers: headers.map(([name, content]) => ({ name, value: content })), timestamp, position },
    resultKey,
    chain,
    heldClock,
    judgedClock,
    arrivedAt,
    attempts,
    nextTryAt,
    blocksPartition,
    retryPosition,
    replay: replay === null ? null : { letter: { topic: replay[0], position: replay[1] }, run: replay[2] },
    budgetFrom,
  };
}
