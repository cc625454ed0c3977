/** Records as the log sees them: bytes and text, no types of the user's. */

/** Bytes, or text that is written as UTF-8 without a copy in between. */
export type Payload = Uint8Array | string;

/** A header of a record. */
export interface HeaderField {
  readonly name: string;
  readonly value: Payload | null;
}

/** A record on its way into a log. */
export interface NewRecord {
  readonly key: Payload | null;
  /** null is a tombstone. */
  readonly value: Payload | null;
  /** Event time, milliseconds since the epoch, whole. */
  readonly timestamp: number;
  readonly headers?: readonly HeaderField[] | null;
}

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Some whole record batches, as they lie in the log; the first may begin below the position asked for. */
export interface Chunk {
  readonly bytes: Uint8Array;
  /** Where the first batch begins in `bytes`. */
  readonly start: number;
  /** Where the last batch ends. */
  readonly end: number;
  /** The position after the last record; where the next chunk begins. */
  readonly nextPosition: number;
}
