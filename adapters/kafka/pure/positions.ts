/** Committed positions of groups: asked for, and committed without a transaction. */
import { FencedError } from "../../../src/base/errors.ts";
import type { CommittedPosition } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { isFencing, kafkaFailure, needsRefresh } from "../failure.ts";
import { withCodes } from "./answer.ts";
import { byTopic } from "./by-topic.ts";
import type { Cluster } from "./cluster.ts";
import type { CommitIdentity } from "./member.ts";
import { offsetCommitV8, offsetFetchV8 } from "./platformatic.ts";
import type { Connection, txnOffsetCommitV3 } from "./platformatic.ts";

/** What the group has committed, transactions under way waited for; partitions without a position are left out. */
export function fetchPositions(cluster: Cluster, group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedPosition[]> {
  if (partitions.length === 0) return Promise.resolve([]);
  const what = `read the positions of group "${group}"`;
  const topics = byTopic(partitions).map(([name, some]) => ({ name, partitionIndexes: some.map(({ partition }) => partition) }));
  return onCoordinator(cluster, group, what, async (ask) => {
    const answer = await ask((connection) => withCodes(offsetFetchV8.api.async(connection, [{ groupId: group, memberEpoch: -1, topics }], true)));
    const positions: CommittedPosition[] = [];
    for (const found of answer.groups) {
      if (found.errorCode !== 0) throw kafkaFailure(found.errorCode, what);
      for (const { name, partitions: some } of found.topics) {
        for (const { partitionIndex, committedOffset, errorCode } of some) {
          if (errorCode !== 0) throw kafkaFailure(errorCode, `${what} in "${name}" partition ${partitionIndex}`);
          if (committedOffset >= 0n) positions.push({ topic: name, partition: partitionIndex, position: Number(committedOffset) });
        }
      }
    }
    return positions;
  });
}

/** Positions as requests have them, with a transaction or without. */
export function offsetsOf(positions: readonly CommittedPosition[]): Parameters<typeof txnOffsetCommitV3.api.async>[8] {
  return byTopic(positions).map(([name, some]) => ({
    name,
    partitions: some.map(({ partition, position }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(position),
      committedLeaderEpoch: -1,
      committedMetadata: null,
    })),
  }));
}

/** Commits positions as the member it is now; `FencedError` when the group has moved on. */
export function commitPositions(cluster: Cluster, identity: CommitIdentity, positions: readonly CommittedPosition[]): Promise<void> {
  if (positions.length === 0) return Promise.resolve();
  const { group, memberId, generationId, instanceId } = identity;
  const what = `commit positions of group "${group}"`;
  const topics = offsetsOf(positions);
  return onCoordinator(cluster, group, what, async (ask) => {
    const answer = await ask((connection) => withCodes(offsetCommitV8.api.async(connection, group, generationId, memberId, instanceId, topics)));
    const codes = answer.topics.flatMap(({ partitions }) => partitions).flatMap(({ errorCode }) => errorCode === 0 ? [] : [errorCode]);
    const errors = codes.map((code) => kafkaFailure(code, what));
    const fencing = errors.find(isFencing);
    if (fencing instanceof FencedError) throw fencing;
    if (errors[0] !== undefined) throw errors[0];
  });
}

async function onCoordinator<R>(
  cluster: Cluster,
  group: string,
  what: string,
  act: (ask: <T>(call: (connection: Connection) => Promise<T>) => Promise<T>) => Promise<R>,
): Promise<R> {
  return await cluster.retry(what, async () => {
    const broker = await cluster.coordinator("group", group);
    try {
      return await act((call) => cluster.request("control", broker, call, { what }));
    } catch (error) {
      if (needsRefresh(error)) cluster.forgetCoordinator("group", group);
      throw error;
    }
  });
}
