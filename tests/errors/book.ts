/** What functions of the user's did, in files that outlive the process: a byte a record, so that several processes may write and none is lost by a kill. */
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";

const COUNT_MAX = 255;

/** Counts by record. */
export class Book {
  readonly #files: ReadonlyMap<"tries" | "sunk", number>;
  readonly #byte = new Uint8Array(1);

  /** Opens the book in a directory; makes it when there is none. */
  constructor(directory: string, records: number) {
    this.#files = new Map((["tries", "sunk"] as const).map((name) => {
      const path = `${directory}/${name}`;
      if (!existsSync(path)) writeFileSync(path, new Uint8Array(records));
      return [name, openSync(path, "r+")];
    }));
  }

  /** Counts one more; returns the new count. */
  add(name: "tries" | "sunk", n: number): number {
    return this.set(name, n, Math.min(COUNT_MAX, this.get(name, n) + 1));
  }

  get(name: "tries" | "sunk", n: number): number {
    readSync(this.#files.get(name)!, this.#byte, 0, 1, n);
    return this.#byte[0]!;
  }

  set(name: "tries" | "sunk", n: number, count: number): number {
    this.#byte[0] = count;
    writeSync(this.#files.get(name)!, this.#byte, 0, 1, n);
    return count;
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
  }
}

/** All counts of a book that others may have open. */
export function readBook(directory: string): { readonly tries: Uint8Array; readonly sunk: Uint8Array } {
  return { tries: readFileSync(`${directory}/tries`), sunk: readFileSync(`${directory}/sunk`) };
}
