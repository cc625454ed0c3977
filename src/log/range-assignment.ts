/** Kafka's `range` assignment: per topic, partitions in runs over the members in order, so that equal partitions of topics of equal size meet in one member. */
import type { TopicPartition } from "../record/record.ts";

/** Who wants which topics. */
export interface Subscriber {
  readonly topics: readonly string[];
}

/** The partitions of each member. Members of a topic stand in the order given; the first ones get one more where it doesn't come out even. */
export function rangeAssignment<Member extends Subscriber>(
  members: readonly Member[],
  partitionsOf: (topic: string) => number,
): Map<Member, TopicPartition[]> {
  const assignment = new Map<Member, TopicPartition[]>(members.map((member) => [member, []]));
  const topics = new Set(members.flatMap((member) => member.topics));
  for (const topic of [...topics].sort()) {
    const subscribed = members.filter((member) => member.topics.includes(topic));
    const partitions = partitionsOf(topic);
    const least = Math.floor(partitions / subscribed.length);
    const withOneMore = partitions % subscribed.length;
    let partition = 0;
    subscribed.forEach((member, index) => {
      const count = least + (index < withOneMore ? 1 : 0);
      for (let i = 0; i < count; i++) assignment.get(member)!.push({ topic, partition: partition++ });
    });
  }
  return assignment;
}
