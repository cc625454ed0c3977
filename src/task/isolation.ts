/**
 * Finds the record whose effects no commit takes: an output larger than the log's limit, a state that cannot be packed. What a failed commit held is done again in halves, until one holds a single
 * record: that one has failed, and its policy speaks. All others go on.
 */
import { isStreamError } from "../base/errors.ts";
import type { Unit } from "./unit.ts";

/** Why the effects of a record cannot be committed. */
export interface Refusal {
  readonly error: unknown;
  /** How often that was found; from the second time on it is the record's dead letter that does not go in. */
  readonly times: number;
}

/** The records of one worker that make commits fail. */
export class Isolation {
  #effectsMax = Infinity;
  /** Effects of the commit that failed first, and those of them that are not done yet; about. */
  #begunWith = 0;
  #left = 0;
  readonly #refused = new Map<string, Refusal>();

  /** Effects that a commit may hold; Infinity while no record is looked for. */
  get effectsMax(): number {
    return this.#effectsMax;
  }

  /** A record is looked for: commits are small, and what is in them is known by name. */
  get isOn(): boolean {
    return this.#effectsMax < Infinity;
  }

  /** Why the effects of a record were refused; null: they were not. */
  refusal(name: string): Refusal | null {
    return this.#refused.size === 0 ? null : this.#refused.get(name) ?? null;
  }

  /**
   * A commit failed. True where that is for what is in it: then it is made again at once, in smaller parts or without the record.
   * `effects`: what was in it, by name, where `isOn`; `count`: about how many, where not.
   */
  failed(error: unknown, effects: readonly string[], count: number): boolean {
    if (!isStreamError(error) || error.domain !== "data") return false;
    if (!this.isOn) {
      this.#begunWith = this.#left = Math.max(2, count);
      this.#effectsMax = Math.floor(this.#begunWith / 2);
      return true;
    }
    // By time alone, or what the engine keeps for itself: no record's fault.
    if (effects.length === 0) return false;
    if (effects.length > 1) this.#effectsMax = Math.floor(effects.length / 2);
    else this.#refused.set(effects[0]!, { error, times: (this.refusal(effects[0]!)?.times ?? 0) + 1 });
    return true;
  }

  /** A commit has happened; the next may hold twice as much, but for one while a handler is under way: it has not shown yet what its record does. */
  committed(effects: readonly string[], isWhole: boolean): void {
    if (!this.isOn) return;
    for (const name of effects) this.#refused.delete(name);
    if (isWhole) this.#effectsMax *= 2;
    this.#left -= effects.length;
    // What was refused twice has stopped its task: the others need not go on in small commits for it.
    const isFound = [...this.#refused.values()].every(({ times }) => times > 1);
    if (isFound && (this.#left <= 0 || this.#effectsMax > this.#begunWith)) this.#effectsMax = Infinity;
  }
}

/** The name of what a unit does; the same as that of its record in its turn. */
export function effectOf(task: string, { entrance, record, retryPosition, chain }: Unit): string {
  if (retryPosition >= 0) return `${task} ${entrance.id}@retry ${retryPosition}`;
  return record.position >= 0 ? `${task} ${entrance.id}@${record.position}` : `${task} ${entrance.id}@${record.timestamp} ${chain}`;
}
