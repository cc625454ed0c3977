/** The topics an app keeps for itself, beside changelogs: what is to be tried again, what operators ordered, and what was changed. */
import type { TopicSpec } from "../log/log.ts";

const DAY_MS = 86_400_000;

/** Records to be tried again: `<app>-retry`. */
export function retryTopicName(app: string): string {
  return `${app}-retry`;
}

/** What operators ordered, the newest of each kind and partition: `<app>-control`. */
export function controlTopicName(app: string): string {
  return `${app}-control`;
}

/** Every change an operator made, and every letter that was replayed: `<app>-audit`. */
export function auditTopicName(app: string): string {
  return `${app}-audit`;
}

/** Their settings. `retryPartitions`: as many as the app's widest source has when the topic is made. */
export function ownTopics(app: string, retryPartitions: number): TopicSpec[] {
  return [
    { name: retryTopicName(app), partitions: retryPartitions, retention: { ageMs: 30 * DAY_MS }, internal: true },
    { name: controlTopicName(app), partitions: 1, retention: "compact", internal: true },
    { name: auditTopicName(app), partitions: 1, retention: { ageMs: 365 * DAY_MS }, internal: false, takesAppendTime: true },
  ];
}
