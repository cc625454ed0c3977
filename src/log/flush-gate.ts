/**
 * Who waits for which flush of the device. One flush runs at a time; what was written before it began is durable when it ends, and
 * everybody who asked meanwhile shares the next one. A flush that fails is the last: what is on the device is not known any more (D5).
 */

/** Shares flushes among those who wait for durability. */
export class FlushGate {
  readonly #flush: () => Promise<void>;
  readonly #onFailure: (cause: unknown) => Error;
  /** Transactions written, and how many of them are durable. */
  #written = 0;
  #durable = 0;
  #running: Promise<void> | null = null;
  /** The flush under way, and how many transactions it covers. */
  #current: { readonly upTo: number; readonly promise: Promise<void> } | null = null;
  #next: PromiseWithResolvers<void> | null = null;
  #failure: Error | null = null;

  /** `onFailure` makes the error that everybody gets from then on. */
  constructor(flush: () => Promise<void>, onFailure: (cause: unknown) => Error) {
    this.#flush = flush;
    this.#onFailure = onFailure;
  }

  /** A transaction was committed. */
  wrote(): void {
    this.#written++;
  }

  /** Fulfils when the flush under way has ended, however; null when none is. */
  get running(): Promise<void> | null {
    return this.#running;
  }

  /** Fulfils when everything written before this call is durable; rejects when the device refused. */
  durable(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#durable === this.#written) return Promise.resolve();
    if (this.#current?.upTo === this.#written) return this.#current.promise;
    if (this.#next === null) {
      this.#next = Promise.withResolvers();
      // Whoever commits without looking at durability must not end the process by an unhandled rejection.
      this.#next.promise.catch(() => {});
    }
    const { promise } = this.#next;
    this.#running ??= this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#next !== null) {
      const waiting: PromiseWithResolvers<void> = this.#next;
      const upTo = this.#written;
      this.#next = null;
      this.#current = { upTo, promise: waiting.promise };
      try {
        await this.#flush();
      } catch (cause) {
        this.#fail(waiting, cause);
        break;
      }
      this.#durable = upTo;
      waiting.resolve();
    }
    this.#current = null;
    this.#running = null;
  }

  #fail(waiting: PromiseWithResolvers<void>, cause: unknown): void {
    this.#failure = this.#onFailure(cause);
    waiting.reject(this.#failure);
    this.#next?.reject(this.#failure);
    this.#next = null;
  }
}
