/** Checks of topic specs, shared by the home-grown logs, so that what one takes the other (and Kafka) takes too. */
import { DefinitionError } from "../base/errors.ts";
import type { Retention, TopicSpec } from "./log.ts";

/** Kafka's rule, so that an app can move there. */
const NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/** The most partitions of one topic. */
export const PARTITIONS_MAX = 10_000;

/** Throws one `DefinitionError` with every fault of the specs; `existing` tells the partitions of a topic that is there (L10). */
export function checkTopicSpecs(log: string, specs: readonly TopicSpec[], existing: (topic: string) => number | null): void {
  const seen = new Map<string, number>();
  const faults: string[] = [];
  let mismatch = false;
  for (const { name, partitions, retention } of specs) {
    const known = existing(name) ?? seen.get(name) ?? null;
    if (!NAME.test(name) || name === "." || name === "..") {
      faults.push(`topic name "${name}" is not made of 1 to 249 letters, digits, ".", "_" and "-"`);
    } else if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
      faults.push(`topic "${name}" asks for ${partitions} partitions, not for a whole number from 1 to ${PARTITIONS_MAX}`);
    } else if (known !== null && known !== partitions) {
      faults.push(`topic "${name}" has ${known} partitions, not the ${partitions} asked for: a topic keeps its number. Say ${known}, or give the topic another name`);
      mismatch = true;
    }
    if (!isRetention(retention)) faults.push(`topic "${name}" has a retention that is neither "forever", "compact" nor positive bounds`);
    seen.set(name, partitions);
  }
  if (faults.length > 0) {
    throw new DefinitionError(`[${log}] Cannot ensure topics: ${faults.join("; ")}`, { faults, code: mismatch ? "LOG_TOPIC_MISMATCH" : "OPTION_INVALID" });
  }
}

function isRetention(retention: Retention): boolean {
  if (typeof retention !== "object") return retention === "forever" || retention === "compact";
  return (retention.ageMs ?? 1) > 0 && (retention.bytes ?? 1) > 0;
}
