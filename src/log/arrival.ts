/**
 * Tells a reader that records have arrived: after the call that brought them, never inside of it (L13). Many arrivals before the
 * reader was told are one.
 */
export class Arrival {
  readonly #tell: () => void;
  #pending = false;
  #closed = false;

  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** Something became readable. */
  notify(): void {
    if (this.#pending || this.#closed) return;
    this.#pending = true;
    // A microtask, not a timer: it runs as soon as the caller's synchronous work is done.
    void Promise.resolve().then(() => {
      this.#pending = false;
      if (!this.#closed) this.#tell();
    });
  }

  /** Nothing is told after this. */
  close(): void {
    this.#closed = true;
  }
}
