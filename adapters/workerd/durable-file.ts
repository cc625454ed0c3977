/** A file in a Durable Object's storage, shared by all its open handles: chunks as rows, its size in memory while it is open. */
import { messageOf, StoreError } from "../../src/base/errors.ts";
import type { DiskFile } from "../../src/runtime/disk.ts";
import type { DurableStorage, SqlValue } from "./storage.ts";

/** What a {@linkcode DurableFile} is made of. */
export interface DurableFileOptions {
  readonly storage: DurableStorage;
  readonly id: number;
  /** As the user named it. */
  readonly path: string;
  run(operation: string, path: string, query: string, ...bindings: readonly (SqlValue | Uint8Array)[]): readonly Readonly<Record<string, SqlValue>>[];
}

const CHUNK_BYTES = 16_384;

/** The state behind the handles of one path. */
export class DurableFile {
  readonly #options: DurableFileOptions;
  readonly #onLastClose: () => void;
  #size: number;
  #handles = 0;
  #isDeleted = false;

  constructor(options: DurableFileOptions, onLastClose: () => void) {
    this.#options = options;
    this.#onLastClose = onLastClose;
    const [last] = this.#run("open", "SELECT chunk, length(bytes) AS length FROM millrace_chunks WHERE file = ? ORDER BY chunk DESC LIMIT 1", options.id);
    this.#size = last === undefined ? 0 : Number(last["chunk"]) * CHUNK_BYTES + Number(last["length"]);
  }

  /** Another handle. */
  handle(): DiskFile {
    this.#handles++;
    let isClosed = false;
    const use = (operation: string, position = 0): void => {
      if (isClosed) throw this.#failure(operation, "the file was closed");
      if (this.#isDeleted) throw this.#failure(operation, "the file was deleted");
      if (!Number.isSafeInteger(position) || position < 0) throw this.#failure(operation, `${position} is no position; wanted a whole number from 0 on`);
    };
    return {
      read: (into, position) => {
        use("read", position);
        return this.#read(into, position);
      },
      write: (from, position) => {
        use("write", position);
        this.#write(from, position);
      },
      truncate: (size) => {
        use("truncate", size);
        this.#truncate(size);
      },
      size: () => {
        use("measure");
        return this.#size;
      },
      sync: () => use("sync"),
      flush: async () => {
        use("flush");
        try {
          await this.#options.storage.sync();
        } catch (cause) {
          throw this.#failure("flush", messageOf(cause), cause);
        }
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        this.#handles--;
        if (this.#handles === 0) this.#onLastClose();
      },
    };
  }

  /** Every handle refuses from here on. */
  markDeleted(): void {
    this.#isDeleted = true;
  }

  #read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - position));
    if (count === 0) return 0;
    into.fill(0, 0, count);
    const first = Math.floor(position / CHUNK_BYTES);
    const last = Math.floor((position + count - 1) / CHUNK_BYTES);
    const rows = this.#run("read", "SELECT chunk, bytes FROM millrace_chunks WHERE file = ? AND chunk BETWEEN ? AND ?", this.#options.id, first, last);
    for (const row of rows) {
      const start = Number(row["chunk"]) * CHUNK_BYTES;
      const bytes = new Uint8Array(row["bytes"] as ArrayBuffer);
      const from = Math.max(0, position - start);
      const to = Math.min(bytes.length, position + count - start);
      if (from < to) into.set(bytes.subarray(from, to), start + from - position);
    }
    return count;
  }

  #write(from: Uint8Array, position: number): void {
    for (let done = 0; done < from.length;) {
      const chunk = Math.floor((position + done) / CHUNK_BYTES);
      const start = position + done - chunk * CHUNK_BYTES;
      const length = Math.min(from.length - done, CHUNK_BYTES - start);
      const part = from.subarray(done, done + length);
      this.#put("write", chunk, length === CHUNK_BYTES ? part : this.#merged(chunk, part, start));
      done += length;
      this.#size = Math.max(this.#size, position + done);
    }
  }

  #truncate(size: number): void {
    const last = Math.ceil(size / CHUNK_BYTES) - 1;
    this.#run("truncate", "DELETE FROM millrace_chunks WHERE file = ? AND chunk > ?", this.#options.id, last);
    if (last >= 0) {
      const kept = new Uint8Array(size - last * CHUNK_BYTES);
      kept.set(this.#chunk(last).subarray(0, kept.length));
      this.#put("truncate", last, kept);
    }
    this.#size = size;
  }

  /** What a chunk holds once `part` lies at `start` in it. */
  #merged(chunk: number, part: Uint8Array, start: number): Uint8Array {
    const before = this.#chunk(chunk);
    const bytes = new Uint8Array(Math.max(before.length, start + part.length));
    bytes.set(before);
    bytes.set(part, start);
    return bytes;
  }

  #chunk(chunk: number): Uint8Array {
    const [row] = this.#run("read", "SELECT bytes FROM millrace_chunks WHERE file = ? AND chunk = ?", this.#options.id, chunk);
    return row === undefined ? new Uint8Array(0) : new Uint8Array(row["bytes"] as ArrayBuffer);
  }

  #put(operation: string, chunk: number, bytes: Uint8Array): void {
    this.#run(operation, "INSERT OR REPLACE INTO millrace_chunks (file, chunk, bytes) VALUES (?, ?, ?)", this.#options.id, chunk, bytes);
  }

  #run(operation: string, query: string, ...bindings: readonly (SqlValue | Uint8Array)[]): readonly Readonly<Record<string, SqlValue>>[] {
    return this.#options.run(operation, this.#options.path, query, ...bindings);
  }

  #failure(operation: string, fault: string, cause?: unknown): StoreError {
    const { path } = this.#options;
    return new StoreError("DISK_FAILED", `Cannot ${operation} "${path}": ${fault}`, {
      details: { operation, path },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
