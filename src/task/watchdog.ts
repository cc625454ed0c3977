/** Looks for tasks that do not move: names them, and later has them begin again from what is committed. */
import type { ObservedEvent, RecordPlace } from "../observe/events.ts";
import type { Task } from "./task.ts";

/** How patient a watchdog is. */
export interface WatchdogOptions {
  /** What has not moved for so long is named, ms. */
  readonly namedAfterMs: number;
  /** What has not moved for so long begins again, ms. */
  readonly restartAfterMs: number;
  readonly report: (event: ObservedEvent) => void;
}

/** What keeps a task. */
export interface Standstill {
  readonly task: Task;
  /** The step whose handler is at work; null: an input gives nothing. */
  readonly step: string | null;
  readonly record: RecordPlace;
  readonly ageMs: number;
}

interface Watched {
  readonly position: number;
  readonly since: number;
}

/** Watches the tasks of a worker. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** Of inputs that know of records they don't give: since when. */
  #waiting = new Map<string, Watched>();
  readonly #named = new Set<string>();

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** The tasks that have not moved for too long, each with what keeps it. */
  look(tasks: readonly Task[], now: number): Standstill[] {
    const found = tasks.flatMap((task) => this.#standstill(task, now) ?? []);
    const { namedAfterMs, restartAfterMs, report } = this.#options;
    const names = new Set<string>();
    for (const { task, step, record, ageMs } of found) {
      const name = `${task.id}\n${step}\n${record.topic}\n${record.position}`;
      names.add(name);
      if (ageMs < namedAfterMs || this.#named.has(name)) continue;
      this.#named.add(name);
      report({ type: "taskStuck", task: task.id, step, record, ageMs: Math.round(ageMs) });
    }
    for (const name of this.#named) if (!names.has(name)) this.#named.delete(name);
    return found.filter(({ ageMs }) => ageMs >= restartAfterMs);
  }

  /** What has stood still longest, and long enough to be named; null: nothing has. */
  worst(tasks: readonly Task[], now: number): Standstill | null {
    let worst: Standstill | null = null;
    for (const task of tasks) {
      const found = this.#standstill(task, now);
      if (found !== null && found.ageMs >= this.#options.namedAfterMs && (worst === null || found.ageMs > worst.ageMs)) worst = found;
    }
    return worst;
  }

  /** Monotonic ms at which looking again may find something; Infinity: nothing stands still. */
  nextAt(tasks: readonly Task[], now: number): number {
    const { namedAfterMs, restartAfterMs } = this.#options;
    let at = Infinity;
    for (const task of tasks) {
      const ageMs = this.#standstill(task, now)?.ageMs;
      if (ageMs !== undefined) at = Math.min(at, now + (ageMs < namedAfterMs ? namedAfterMs : Math.max(restartAfterMs, ageMs)) - ageMs);
    }
    return at;
  }

  #standstill(task: Task, now: number): Standstill | null {
    if (task.stopped !== null) return null;
    const longest = task.longestRunning();
    let worst: Standstill | null = longest === null ? null : { task, ...longest };
    for (const input of task.inputs) {
      const id = `${task.id}\n${input.id}`;
      if (input.lag === 0 || input.hasHead()) {
        this.#waiting.delete(id);
        continue;
      }
      let watched = this.#waiting.get(id);
      if (watched === undefined || watched.position !== input.position) this.#waiting.set(id, watched = { position: input.position, since: now });
      const ageMs = now - watched.since;
      if (worst === null || ageMs > worst.ageMs) {
        worst = { task, step: null, record: { topic: input.topic.name, partition: input.partition, position: input.position }, ageMs };
      }
    }
    return worst;
  }
}
