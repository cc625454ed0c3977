/** `for await` over a stream: each record is under way until the loop asks for the next one. */
import type { TopologyNode } from "../topology/node.ts";

interface Waiting<V> {
  readonly value: V;
  readonly done: () => void;
}

/** Hands records to one loop, one after the other. */
export class RecordQueue<V> implements AsyncIterator<V> {
  readonly #waiting: Waiting<V>[] = [];
  #asked: ((result: IteratorResult<V>) => void) | null = null;
  #current: Waiting<V> | null = null;
  #isOver = false;

  /** A record for the loop; fulfils when the loop is done with it. After the loop has ended records pass by. */
  put(value: V): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    return new Promise((done) => {
      this.#waiting.push({ value, done });
      this.#hand();
    });
  }

  next(): Promise<IteratorResult<V>> {
    this.#finish();
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#asked = resolve;
      this.#hand();
    });
  }

  return(): Promise<IteratorResult<V>> {
    this.#isOver = true;
    this.#finish();
    for (const { done } of this.#waiting.splice(0)) done();
    return Promise.resolve({ done: true, value: undefined });
  }

  #hand(): void {
    if (this.#asked === null || this.#waiting.length === 0) return;
    const asked = this.#asked;
    this.#asked = null;
    this.#current = this.#waiting.shift()!;
    asked({ done: false, value: this.#current.value });
  }

  #finish(): void {
    this.#current?.done();
    this.#current = null;
  }
}

export function iterateStep<V>(queue: RecordQueue<V>): TopologyNode["build"] {
  return (context) => ({
    push: (value) => {
      if (value === undefined) return;
      const done = queue.put(value as V);
      if (done !== undefined) context.suspend(done, () => {});
    },
  });
}
