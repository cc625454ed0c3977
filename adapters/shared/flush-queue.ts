/**
 * Shares device flushes (D4, D5): a call that comes while a flush runs needs one that starts after it, and all such calls share that one.
 *
 * ```
 *   idle ──call──► running ──call──► running + queued ──(running ends)──► running (the queued one)
 *                     └──(ends)──► idle            any failure ──► broken, for good
 * ```
 *
 * A flush that failed once may have dropped pages that the next one would not see: so the queue stays broken.
 */

/** Coalesces calls of one flush operation. */
export class FlushQueue {
  readonly #start: () => Promise<void>;
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** `start` begins one flush of the device; never called while one runs. */
  constructor(start: () => Promise<void>) {
    this.#start = start;
  }

  /** Why the queue is broken; null while it is not. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Whether a flush runs or waits. */
  get isBusy(): boolean {
    return this.#running !== null || this.#queued !== null;
  }

  /** Fulfils after a flush that started after this call. */
  flush(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure.error);
    if (this.#running === null) return this.#begin();
    this.#queued ??= this.#running.then(
      () => {
        this.#queued = null;
        return this.#begin();
      },
      (error: unknown) => {
        this.#queued = null;
        throw error;
      },
    );
    return this.#queued;
  }

  /** Fulfils when what runs and what is queued has ended, well or not. */
  async settled(): Promise<void> {
    while (this.#running !== null || this.#queued !== null) await (this.#queued ?? this.#running)?.catch(() => undefined);
  }

  /** Marks the queue broken from outside, for a blocking sync that failed. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #begin(): Promise<void> {
    const running = this.#start().then(
      () => {
        this.#running = null;
        // A blocking sync that failed meanwhile may have taken the error that was due to this flush.
        if (this.#failure !== null) throw this.#failure.error;
      },
      (error: unknown) => {
        this.#running = null;
        this.fail(error);
        throw error;
      },
    );
    this.#running = running;
    return running;
  }
}
