/** Sends webhooks at an even rate, as their senders do it: what is refused is sent again, under the same id, once `Retry-After` is over. */

/** How long a sender waits for an answer. */
const PATIENCE_MS = 90_000;
const KEYS = 7;

/** A sender, and what it heard. */
export class OutageSender {
  readonly sent: Set<string> = new Set();
  readonly acknowledged: Set<string> = new Set();
  readonly wrong: string[] = [];
  /** When the first webhook was taken after `expectTaken()`. */
  takenAt: number | null = null;
  slowestMs = 0;
  /** The worker may end and be started again: what it did not answer is sent again. */
  readonly #mayEnd: boolean;
  readonly #url: string;
  readonly #bodies = new Map<string, string>();
  /** Refused, and when to send it again. */
  #due: { readonly id: string; readonly at: number }[] = [];
  #answers = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #isExpecting = false;
  #sendsNew = true;

  constructor(url: string, mayEnd: boolean) {
    this.#url = url;
    this.#mayEnd = mayEnd;
  }

  start(perSecond: number): void {
    clearInterval(this.#timer ?? undefined);
    this.#timer = setInterval(() => this.#tick(), 1_000 / perSecond);
  }

  /** From now on nothing new, only what was refused. */
  drain(perSecond: number): void {
    this.#sendsNew = false;
    this.start(perSecond);
  }

  /** All that was sent was taken. */
  get isDone(): boolean {
    if (this.acknowledged.size < this.sent.size) return false;
    clearInterval(this.#timer ?? undefined);
    return true;
  }

  forgetAnswers(): void {
    this.#answers.clear();
  }

  answers(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#answers);
  }

  expectTaken(): void {
    this.#isExpecting = true;
  }

  #tick(): void {
    const now = performance.now();
    const index = this.#due.findIndex(({ at }) => at <= now);
    if (index >= 0) void this.#post(this.#due.splice(index, 1)[0]!.id);
    else if (this.#sendsNew) {
      const id = `a-${this.sent.size}`;
      this.#bodies.set(id, JSON.stringify({ id, key: `key-${this.sent.size % KEYS}`, n: 1 + this.sent.size % 10 }));
      this.sent.add(id);
      void this.#post(id);
    }
  }

  async #post(id: string): Promise<void> {
    const startedAt = performance.now();
    let heard: string;
    let waitMs = 1_000;
    try {
      const answer = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: this.#bodies.get(id)!,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      await answer.text();
      heard = String(answer.status);
      if (answer.status === 202) {
        this.acknowledged.add(id);
        if (this.#isExpecting) this.takenAt ??= performance.now();
      } else if (answer.status !== 503) this.wrong.push(`webhook ${id} was answered ${answer.status}`);
      else {
        const seconds = Number(answer.headers.get("retry-after") ?? Number.NaN);
        if (!(seconds >= 1)) this.wrong.push(`webhook ${id} was answered 503 without Retry-After`);
        else waitMs = 1_000 * seconds;
      }
    } catch (error) {
      heard = (error as Error).name;
      if (!this.#mayEnd) this.wrong.push(`webhook ${id} was not answered: ${String((error as Error).cause ?? error)}`);
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt);
    this.#answers.set(heard, (this.#answers.get(heard) ?? 0) + 1);
    if (!this.acknowledged.has(id)) this.#due.push({ id, at: performance.now() + waitMs });
  }
}
