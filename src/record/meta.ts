/** What user code sees of a record besides its value. */
import type { RecordCursor } from "./cursor.ts";
import type { KeyCache } from "./key-cache.ts";
import { headerText, toHeaders } from "./headers.ts";
import type { HeaderField } from "./record.ts";

/** Headers that begin so are the engine's: they do not go on with what is made of a record. */
const ENGINE_HEADERS = "mr-";

/** What is known of a record besides its value. */
export interface RecordMeta<out K = unknown> {
  /** null when the record has none. */
  readonly key: K;
  /** Event time, milliseconds since the epoch. */
  readonly timestamp: number;
  /** By name, without case. */
  readonly headers: Headers;
  /** Where it was read. */
  readonly topic: string;
  /** From 0. */
  readonly partition: number;
  /** Of the record in its partition; -1 for results of windows. */
  readonly position: number;
}

/**
 * One reused record in the hands of operators. Key and headers are read from the cursor when asked for; `keep` reads both, for a record that outlives its turn.
 */
export class RecordView implements RecordMeta<unknown> {
  readonly topic: string;
  readonly partition: number;
  position: number = -1;
  timestamp: number = 0;
  readonly #decodeKey: ((bytes: Uint8Array) => unknown) | null;
  readonly #keys: KeyCache | null;
  #cursor: RecordCursor | null = null;
  #key: unknown = null;
  #hasKey = false;
  /** Why the key of a kept record cannot be read. */
  #keyFault: unknown = null;
  #fields: readonly HeaderField[] | null = null;
  #headers: Headers | null = null;

  /** `decodeKey` null: keys are text, and `keys` may remember them. */
  constructor(topic: string, partition: number, decodeKey: ((bytes: Uint8Array) => unknown) | null, keys: KeyCache | null = null) {
    this.topic = topic;
    this.partition = partition;
    this.#decodeKey = decodeKey;
    this.#keys = keys;
  }

  /** Stands for the record the cursor is at. */
  at(cursor: RecordCursor): this {
    this.#cursor = cursor;
    this.position = cursor.position;
    this.timestamp = cursor.timestamp;
    this.#hasKey = false;
    this.#fields = null;
    this.#headers = null;
    return this;
  }

  /** Stands for a record that is in no log, or no longer at a cursor. */
  of(key: unknown, timestamp: number, position: number, fields: readonly HeaderField[] | null): this {
    this.#cursor = null;
    this.#key = key;
    this.#hasKey = true;
    this.#fields = fields;
    this.#headers = null;
    this.timestamp = timestamp;
    this.position = position;
    return this;
  }

  get key(): unknown {
    if (!this.#hasKey) {
      const cursor = this.#cursor;
      if (cursor === null) throw this.#keyFault;
      if (this.#decodeKey === null) {
        this.#key = cursor.keyStart < 0 || this.#keys === null ? cursor.keyText() : this.#keys.read(cursor.bytes, cursor.keyStart, cursor.keyEnd);
      } else {
        const bytes = cursor.keyBytes();
        this.#key = bytes === null ? null : this.#decodeKey(bytes);
      }
      this.#hasKey = true;
    }
    return this.#key;
  }

  get headers(): Headers {
    return this.#headers ??= toHeaders(this.fields ?? []);
  }

  /** The headers as they lie in the record; null when there are none. */
  get fields(): readonly HeaderField[] | null {
    const cursor = this.#cursor;
    if (this.#fields === null && cursor !== null && cursor.headerCount > 0) this.#fields = cursor.headers();
    return this.#fields;
  }

  /** Reads what is still in the cursor, so that this object may be kept. A key that cannot be read fails when it is asked for. */
  keep(): this {
    try {
      void this.key;
    } catch (error) {
      this.#keyFault = error;
    }
    void this.fields;
    this.#cursor = null;
    return this;
  }
}

/** The headers of a record that go on with what is made of it: its own, not the engine's. */
export function fieldsOf(meta: RecordMeta): readonly HeaderField[] | null {
  const fields = meta instanceof RecordView ? meta.fields : null;
  return fields === null || !fields.some(isEngines) ? fields : fields.filter((field) => !isEngines(field));
}

/** The value of one header as text; null when there is none. */
export function headerOf(meta: RecordMeta, name: string): string | null {
  const fields = meta instanceof RecordView ? meta.fields : null;
  const field = fields?.findLast((candidate) => candidate.name === name);
  return field === undefined ? null : headerText(field.value);
}

function isEngines({ name }: HeaderField): boolean {
  return name.startsWith(ENGINE_HEADERS);
}
