/**
 * How much is let in at once: requests whose bodies still come, requests at work, and the bytes they hold. What is over the limit is refused at once; nothing
 * queues.
 *
 * Requests whose bodies still come are counted apart, with a larger limit, so that slow senders don't take the places of those who are done sending.
 */
import { Refusal } from "./problem.ts";

/** Options of {@linkcode Admission}. */
export interface AdmissionOptions {
  /** Requests at work: verified, checked, appended. @default 1_000 */
  readonly requestsMax?: number;
  /** Requests whose bodies still come. @default 10_000 */
  readonly readingMax?: number;
  /** Bytes of all bodies in memory. @default 268_435_456 */
  readonly bodyBytesUnderWayMax?: number;
}

const REQUESTS_MAX = 1_000;
const READING_MAX = 10_000;
const BODY_BYTES_UNDER_WAY_MAX = 268_435_456;

/** One request's hold on the limits. `release()` gives everything back. */
export interface Admitted {
  /** The body is complete: takes a place at work. Throws {@linkcode Refusal} 503 when there is none. */
  work(): void;
  /** Takes memory. Throws {@linkcode Refusal} 503 when there is none. */
  hold(bytes: number): void;
  /** Gives a part of the memory back. */
  drop(bytes: number): void;
  /** Gives all back; a second call does nothing. */
  release(): void;
}

/** The limits and what is taken of them. */
export class Admission {
  readonly #requestsMax: number;
  readonly #readingMax: number;
  readonly #bytesMax: number;
  #reading = 0;
  #working = 0;
  #bytes = 0;

  constructor({ requestsMax = REQUESTS_MAX, readingMax = READING_MAX, bodyBytesUnderWayMax = BODY_BYTES_UNDER_WAY_MAX }: AdmissionOptions = {}) {
    this.#requestsMax = requestsMax;
    this.#readingMax = readingMax;
    this.#bytesMax = bodyBytesUnderWayMax;
  }

  get reading(): number {
    return this.#reading;
  }

  get working(): number {
    return this.#working;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Lets a request in whose body is still to be read. Throws {@linkcode Refusal} 503 when there is no place, or none at work. */
  enter(): Admitted {
    if (this.#reading >= this.#readingMax || this.#working >= this.#requestsMax) throw overloaded();
    this.#reading++;
    let state: "reading" | "working" | "released" = "reading";
    let held = 0;
    return {
      work: () => {
        if (state !== "reading") return;
        if (this.#working >= this.#requestsMax) throw overloaded();
        this.#reading--;
        this.#working++;
        state = "working";
      },
      hold: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) throw overloaded();
        this.#bytes += bytes;
        held += bytes;
      },
      drop: (bytes) => {
        this.#bytes -= bytes;
        held -= bytes;
      },
      release: () => {
        if (state === "reading") this.#reading--;
        if (state === "working") this.#working--;
        state = "released";
        this.#bytes -= held;
        held = 0;
      },
    };
  }
}

function overloaded(): Refusal {
  return new Refusal({ status: 503, reason: "overloaded", detail: "Too many requests are under way. Try again.", retryAfterSeconds: 1, closes: true });
}
