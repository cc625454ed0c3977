/** A repeated id whose content is not that of the first: counted, and said. The first one stays. */
import type { Observer } from "../../observe/events.ts";
import type { Counter, Metrics } from "../../observe/metrics.ts";

/** The counter of a webhook. */
export function differingCounter(metrics: Metrics, webhook: string): Counter {
  return metrics.counter("millrace_webhook_duplicates_differing_total", "Repeated ids whose body was not that of the first request.", { webhook });
}

/** Counts and says one. */
export function reportDiffering(metrics: Metrics, log: Observer, webhook: string, idempotencyId: string): void {
  differingCounter(metrics, webhook).inc();
  log({ type: "webhookDuplicateDiffers", webhook, idempotencyId });
}
