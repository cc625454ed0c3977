/**
 * What a task has done of what lies in `<app>-retry` and `<app>-control`, in its own state: so that it is in the commit that did it, moves with the task, and is done once.
 */
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { StateStore } from "../state/store.ts";
import { letterKey } from "./audit.ts";
import type { RetryNote } from "./retry-topic.ts";

/** Letters are kept 30 days. */
const REMEMBERED_MS = 31 * 86_400_000;
const READ_KEY = "read";

/** The store of a sub-topology. */
export function ordersStore(subTopology: string): StoreSpec {
  return { name: `${subTopology}#orders`, fingerprint: "orders", pack: packRow, unpack: unpackRow };
}

/** What one task has done. */
export class OrdersDone {
  readonly #store: StateStore;

  /** Forgets letters that were replayed long before `now`, wall clock, ms. */
  constructor(store: StateStore, now: number) {
    this.#store = store;
    for (const [key, [at]] of this.#rows()) if (key.startsWith("letter ") && at < now - REMEMBERED_MS) store.set(0, key, undefined);
  }

  /** Takes over what tasks of other names did for the same inputs and steps: whatever was done by one is done. What it has read itself it need not read again. */
  adopt(formers: readonly StateStore[]): void {
    if (formers.length === 0) return;
    const others = formers.map((former) => new OrdersDone(former, -Infinity));
    const isNew = this.#rows().length === 0;
    for (const other of others) for (const [key, [value]] of other.#rows()) if (key !== READ_KEY) this.#raise(key, value);
    if (isNew) this.readTo = Math.min(...others.map(({ readTo }) => readTo));
  }

  /** Of the topic of retries: everything below it that is for this task was taken. */
  get readTo(): number {
    return this.#get(READ_KEY) ?? 0;
  }

  set readTo(position: number) {
    this.#store.set(0, READ_KEY, [position]);
  }

  /** Whether the record at a position of the topic of retries is done with; from now on it is. */
  isTaken(entrance: string, position: number): boolean {
    const key = `taken ${entrance}`;
    if (position < (this.#get(key) ?? 0)) return true;
    this.#store.set(0, key, [position + 1]);
    return false;
  }

  /** Whether this run of a letter was worked on before; from now on it was. */
  isReplayed({ letter, run }: NonNullable<RetryNote["replay"]>, now: number): boolean {
    const key = `letter ${letterKey(letter)}#${run}`;
    if (this.#get(key) !== null) return true;
    this.#store.set(0, key, [now]);
    return false;
  }

  /** Whether a seek of an input was done, or one after it; from now on it was. */
  isSought(topic: string, id: number): boolean {
    const key = `seek ${topic}`;
    if (id < (this.#get(key) ?? 0)) return true;
    this.#store.set(0, key, [id + 1]);
    return false;
  }

  #get(key: string): number | null {
    const row = this.#store.get(0, key) as readonly number[] | undefined;
    return row === undefined ? null : row[0]!;
  }

  #raise(key: string, value: number): void {
    if (value > (this.#get(key) ?? -Infinity)) this.#store.set(0, key, [value]);
  }

  #rows(): (readonly [key: string, row: readonly [number]])[] {
    return [...this.#store.all()] as unknown as (readonly [string, readonly [number]])[];
  }
}
