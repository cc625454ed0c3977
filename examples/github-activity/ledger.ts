/** The sender's book: what was sent, how it was answered, and so how often each repository must have been counted. */
import type { Delivery } from "./deliveries.ts";

/** What the sender meant by a request. */
export type Kind = "first" | "repeated" | "tampered" | "late";

/** A day of a repository, as in the window that `today` comes from. */
export interface RepositoryDay {
  readonly repository: string;
  readonly startMs: number;
  /** Deliveries that were acknowledged, each id once. */
  count: number;
}

const DAY_MS = 86_400_000;

/** Who was told what. */
export class Ledger {
  #requests = 0;
  #accepted = 0;
  #repeated = 0;
  #refused = 0;
  #postponed = 0;
  #unexpected = 0;
  #late = 0;
  readonly #acknowledged = new Set<string>();
  readonly #days = new Map<string, RepositoryDay>();

  /** Ids that were acknowledged and are about a repository. */
  get counted(): number {
    return [...this.#days.values()].reduce((total, day) => total + day.count, 0);
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  get late(): number {
    return this.#late;
  }

  get unexpected(): number {
    return this.#unexpected;
  }

  /** The newest day of each repository that got something. */
  get newestDays(): readonly RepositoryDay[] {
    const newest = new Map<string, RepositoryDay>();
    for (const day of this.#days.values()) {
      const known = newest.get(day.repository);
      if (known === undefined || known.startMs < day.startMs) newest.set(day.repository, day);
    }
    return [...newest.values()].sort((a, b) => b.count - a.count);
  }

  /** Enters the answer to a request. */
  answered(delivery: Delivery, kind: Kind, status: number, answer: unknown): void {
    this.#requests++;
    if (status === 202 && kind !== "tampered") {
      if ((answer as { readonly status?: unknown } | null)?.status === "duplicate") this.#repeated++;
      else this.#accepted++;
      this.#acknowledge(delivery, kind);
    } else if (status === 401 && kind === "tampered") this.#refused++;
    else if (status === 503 || status === 429) this.#postponed++;
    else {
      this.#unexpected++;
      console.error(`Unexpected: a ${kind} delivery of "${delivery.event}" was answered ${status} ${JSON.stringify(answer)}`);
    }
  }

  /** Enters a request that got no answer. */
  unanswered(): void {
    this.#requests++;
    this.#postponed++;
  }

  /** One line for people. */
  line(): string {
    const parts = [`${this.#accepted} accepted (202)`, `${this.#repeated} known already (202)`, `${this.#refused} tampered with (401)`];
    if (this.#postponed > 0) parts.push(`${this.#postponed} tried again`);
    if (this.#unexpected > 0) parts.push(`${this.#unexpected} answered wrongly`);
    return `${String(this.#requests).padStart(4)} posted: ${parts.join(" · ")}`;
  }

  #acknowledge(delivery: Delivery, kind: Kind): void {
    if (this.#acknowledged.has(delivery.id)) return;
    this.#acknowledged.add(delivery.id);
    if (kind === "late") this.#late++;
    if (delivery.repository === null) return;
    const startMs = Math.floor((delivery.happenedAt ?? Date.now()) / DAY_MS) * DAY_MS;
    const key = `${delivery.repository} ${startMs}`;
    const day = this.#days.get(key) ?? { repository: delivery.repository, startMs, count: 0 };
    day.count++;
    this.#days.set(key, day);
  }
}
