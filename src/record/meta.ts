/** What user code sees of a record besides its value. */
import type { RecordCursor } from "./cursor.ts";

/** What is known of a record besides its value. */
export interface RecordMeta<out K = unknown> {
  /** null when the record has none. */
  readonly key: K;
  /** Event time, milliseconds since the epoch. */
  readonly timestamp: number;
  readonly headers: Headers;
  readonly topic: string;
  readonly partition: number;
  /** Of the record in its partition; -1 for results of windows. */
  readonly position: number;
}

const NO_BYTES = new Uint8Array(0);
const text = new TextDecoder();

/**
 * One reused record in the hands of operators. Key and headers are read from the cursor when asked for; `keep` reads both, for a record that outlives its turn.
 */
export class RecordView implements RecordMeta<unknown> {
  topic: string;
  readonly partition: number;
  position = -1;
  timestamp = 0;
  #cursor: RecordCursor | null = null;
  readonly #decodeKey: ((bytes: Uint8Array) => unknown) | null;
  #key: unknown = null;
  #hasKey = false;
  #headers: Headers | null = null;

  /** `decodeKey` null: keys are text. */
  constructor(topic: string, partition: number, decodeKey: ((bytes: Uint8Array) => unknown) | null) {
    this.topic = topic;
    this.partition = partition;
    this.#decodeKey = decodeKey;
  }

  /** Stands for the record the cursor is at. */
  at(cursor: RecordCursor): this {
    this.#cursor = cursor;
    this.position = cursor.position;
    this.timestamp = cursor.timestamp;
    this.#hasKey = false;
    this.#headers = null;
    return this;
  }

  /** Stands for a record that is in no log, or no longer at a cursor. */
  of(key: unknown, timestamp: number, position: number, headers: Headers | null): this {
    this.#cursor = null;
    this.#key = key;
    this.#hasKey = true;
    this.#headers = headers;
    this.timestamp = timestamp;
    this.position = position;
    return this;
  }

  get key(): unknown {
    if (!this.#hasKey) {
      const cursor = this.#cursor!;
      if (this.#decodeKey === null) this.#key = cursor.keyText();
      else this.#key = cursor.keyStart < 0 ? null : this.#decodeKey(cursor.keyBytes() ?? NO_BYTES);
      this.#hasKey = true;
    }
    return this.#key;
  }

  get headers(): Headers {
    return this.#headers ??= headersOf(this.#cursor);
  }

  /** The headers, if any were read or exist; null saves making an empty object. */
  get headersIfAny(): Headers | null {
    if (this.#headers === null && (this.#cursor === null || this.#cursor.headerCount === 0)) return null;
    return this.headers;
  }

  /** Reads what is still in the cursor, so that this object may be kept. */
  keep(): this {
    void this.key;
    void this.headers;
    this.#cursor = null;
    return this;
  }
}

function headersOf(cursor: RecordCursor | null): Headers {
  const headers = new Headers();
  if (cursor === null || cursor.headerCount === 0) return headers;
  for (const { name, value } of cursor.headers()) {
    try {
      headers.append(name, value === null ? "" : typeof value === "string" ? value : text.decode(value));
    } catch {
      // A name or value that HTTP does not allow cannot be shown here; the record keeps its bytes.
    }
  }
  return headers;
}
