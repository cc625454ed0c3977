/** What a worker and its tasks count, as metrics. */
import type { Metrics } from "../observe/metrics.ts";
import type { Task } from "../task/task.ts";
import type { Worker } from "../task/worker.ts";

/** The totals of a worker, over all its tasks. */
export function measureWorker(metrics: Metrics, { stats }: Worker): void {
  metrics.total("millrace_records_processed_total", "Records whose effects are in.", {}, () => stats.processed);
  metrics.total("millrace_results_fired_total", "Results that event time made due.", {}, () => stats.fired);
  metrics.total("millrace_records_late_total", "Records that came after their window had closed.", {}, () => stats.late);
  metrics.total("millrace_records_dead_lettered_total", "Records that were given up.", {}, () => stats.deadLetters);
  metrics.total("millrace_record_retries_total", "Tries after the first.", {}, () => stats.retries);
  metrics.total("millrace_commits_total", "Commits that happened.", {}, () => stats.commits);
  metrics.total("millrace_commits_failed_total", "Commits that did not happen.", {}, () => stats.failedCommits);
  metrics.total(
    "millrace_records_skipped_total",
    "Records that were left out, for whatever reason.",
    {},
    () => [...stats.skipped.values()].reduce((sum, count) => sum + count, 0),
  );
}

/** The gauges of tasks, which come and go with their partitions. */
export class TaskGauges {
  readonly #metrics: Metrics;
  readonly #worker: Worker;
  /** By task: one that was built again is another. */
  readonly #removals = new Map<Task, readonly (() => void)[]>();

  constructor(metrics: Metrics, worker: Worker) {
    this.#metrics = metrics;
    this.#worker = worker;
  }

  /** Brings the gauges up to the tasks that are here. */
  update(): void {
    const tasks = new Set(this.#worker.tasks);
    for (const [task, removals] of this.#removals) {
      if (tasks.has(task)) continue;
      this.#removals.delete(task);
      for (const remove of removals) remove();
    }
    for (const task of tasks) if (!this.#removals.has(task)) this.#removals.set(task, this.#add(task));
  }

  #add(task: Task): readonly (() => void)[] {
    const metrics = this.#metrics;
    const inputs = task.inputs.flatMap((input) => {
      const labels = { topic: input.topic.name, partition: String(input.partition) };
      return [
        metrics.gauge("millrace_partition_lag_records", "Records between the position and the end.", labels, () => input.lag ?? NaN),
        metrics.gauge("millrace_partition_position", "Position of the next record to take.", labels, () => input.position),
      ];
    });
    const labels = { task: task.id };
    return [
      ...inputs,
      metrics.gauge(
        "millrace_task_watermark_seconds",
        "Event time by which windows close, seconds since the epoch.",
        labels,
        () => Number.isFinite(task.clock.safe) ? task.clock.safe / 1_000 : NaN,
      ),
      metrics.gauge(
        "millrace_task_unresolved_records",
        "Records under way, waiting for another try, or behind one of their key.",
        labels,
        () => task.unresolved.size,
      ),
      metrics.gauge("millrace_task_cached_bytes", "About how much memory cached state takes.", labels, () => task.state.cachedBytes),
    ];
  }
}
