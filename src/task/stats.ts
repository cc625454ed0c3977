/** What a worker counts, by name and label; read by metrics and tests, never by the engine. */

/** Counters of one worker. */
export class WorkerStats {
  processed = 0;
  fired = 0;
  retries = 0;
  late = 0;
  deadLetters = 0;
  commits = 0;
  failedCommits = 0;
  /** By reason. */
  readonly skipped: Map<string, number> = new Map();

  skip(reason: string): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
  }
}
