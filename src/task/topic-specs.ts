/** The topics that an app has on its log, as they are made when it starts: its own definitions, letters, retries, orders, audit, and changelogs where state is said in them. */
import { DefinitionError } from "../base/errors.ts";
import type { Log, TopicSpec } from "../log/log.ts";
import { changelogName } from "../topology/changelog-name.ts";
import { partitionCounts, type Topology } from "../topology/topology.ts";
import { letterTopic } from "./letter-topics.ts";
import { ownTopics, retryTopicName } from "./own-topics.ts";

/** All of them. Throws DefinitionError where a topic of the user's has the name of one that the app needs for itself. */
export function topicSpecs(
  { topology, log, hasChangelogs }: { readonly topology: Topology; readonly log: Log; readonly hasChangelogs: boolean },
): readonly TopicSpec[] {
  const counts = partitionCounts(topology, (topic) => log.partitionsOf(topic));
  const letters = topology.subTopologies.flatMap((sub) => sub.reads).filter((topic) => !topic.isInternal || topic.origin === topic.name).flatMap((topic) =>
    topic.isInternal ? [letterTopic(topic.origin, "dlq")] : [letterTopic(topic.origin, "dlq"), letterTopic(topic.origin, "late")]
  );
  const definitions = new Map([...letters, ...topology.topics].map((topic) => [topic.name, topic]));
  const specs: TopicSpec[] = [...definitions.values()].map((topic) => ({
    name: topic.name,
    partitions: counts.get(topic.name) ?? 1,
    retention: topic.retention,
    internal: topic.isInternal,
    ...(topic.takesAppendTime === true ? { takesAppendTime: true } : {}),
  }));
  const retryPartitions = log.partitionsOf(retryTopicName(topology.app)) ?? Math.max(1, ...counts.values());
  for (const own of ownTopics(topology.app, retryPartitions)) {
    if (definitions.has(own.name)) {
      throw new DefinitionError(`Cannot start "${topology.app}": topic "${own.name}" is the app's own: give the other another name`);
    }
    specs.push(own);
  }
  if (!hasChangelogs) return specs;
  for (const { name, reads } of topology.subTopologies) {
    const partitions = Math.max(...reads.map((topic) => counts.get(topic.name) ?? 1));
    const changelog = changelogName(topology.app, name);
    if (specs.some((spec) => spec.name === changelog)) {
      throw new DefinitionError(
        `Cannot start "${topology.app}": two topics are named "${changelog}", one of them the changelog of "${name}": give the other another name`,
      );
    }
    specs.push({ name: changelog, partitions, retention: "compact", internal: true });
  }
  return specs;
}
