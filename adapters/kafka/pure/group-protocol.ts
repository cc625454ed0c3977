/** The requests of Kafka's classic group protocol, and who gets what by `range`, so that members of other clients may be in the same group. */
import { Buffer } from "node:buffer";
import { rangeAssignment } from "../../../src/log/range-assignment.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { withCodes } from "./answer.ts";
import { byTopic } from "./by-topic.ts";
import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  heartbeatV4,
  joinGroupV9,
  leaveGroupV5,
  syncGroupV5,
} from "./platformatic.ts";
import type { Connection } from "./platformatic.ts";

/** Who asks. */
export interface Identity {
  readonly group: string;
  /** Empty: a new one. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generationId: number;
}

/** A member as its leader hears of it. */
export interface JoinedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly topics: readonly string[];
}

/** What a join led to. */
export interface JoinAnswer {
  readonly errorCode: number;
  readonly generationId: number;
  readonly memberId: string;
  /** For the leader: everybody; else null. */
  readonly members: readonly JoinedMember[] | null;
  /** The leader came back under its instance id: the assignment that was stands. */
  readonly keepsAssignment: boolean;
}

/** Which member gets which partitions. */
export type Shares = readonly { readonly memberId: string; readonly partitions: readonly TopicPartition[] }[];

/** Codes of the protocol that a group acts upon. */
export const groupCodes = {
  NONE: 0,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  ILLEGAL_GENERATION: 22,
  UNKNOWN_MEMBER_ID: 25,
  REBALANCE_IN_PROGRESS: 27,
  MEMBER_ID_REQUIRED: 79,
  FENCED_INSTANCE_ID: 82,
} as const;

const PROTOCOL_TYPE = "consumer";
const PROTOCOL = "range";
const SUBSCRIPTION_VERSION = 1;
const ASSIGNMENT_VERSION = 0;

/** Joins; answered once all members have. */
export async function joinGroup(
  connection: Connection,
  who: Identity,
  topics: readonly string[],
  timeouts: { readonly sessionTimeoutMs: number; readonly rebalanceTimeoutMs: number },
): Promise<JoinAnswer> {
  const metadata = encodeConsumerProtocolSubscription({ version: SUBSCRIPTION_VERSION, topics: [...topics], ownedPartitions: [] });
  const { sessionTimeoutMs, rebalanceTimeoutMs } = timeouts;
  const protocols = [{ name: PROTOCOL, metadata }];
  const answer = await withCodes(
    joinGroupV9.api.async(connection, who.group, sessionTimeoutMs, rebalanceTimeoutMs, who.memberId, who.instanceId, PROTOCOL_TYPE, protocols, null),
  );
  const { errorCode, generationId, memberId, leader, skipAssignment } = answer;
  const isLeader = errorCode === groupCodes.NONE && leader === memberId;
  return { errorCode, generationId, memberId, members: isLeader ? answer.members.map(joinedMember) : null, keepsAssignment: skipAssignment };
}

/** Gets the member's share, from the leader by way of the coordinator; the leader brings all shares. */
export async function syncGroup(
  connection: Connection,
  who: Identity,
  shares: Shares,
): Promise<{ readonly errorCode: number; readonly partitions: TopicPartition[] }> {
  const assignments = shares.map(({ memberId, partitions }) => ({ memberId, assignment: encodeShare(partitions) }));
  const answer = await withCodes(
    syncGroupV5.api.async(connection, who.group, who.generationId, who.memberId, who.instanceId, PROTOCOL_TYPE, PROTOCOL, assignments),
  );
  return { errorCode: answer.errorCode, partitions: answer.errorCode === groupCodes.NONE ? decodeShare(answer.assignment) : [] };
}

/** Says that the member lives; gives the code. */
export async function heartbeat(connection: Connection, who: Identity): Promise<number> {
  return (await withCodes(heartbeatV4.api.async(connection, who.group, who.generationId, who.memberId, who.instanceId))).errorCode;
}

/** Leaves for good, under an instance id too; gives the code. */
export async function leaveGroup(connection: Connection, who: Identity): Promise<number> {
  const member = { memberId: who.memberId, groupInstanceId: who.instanceId, reason: null };
  const answer = await withCodes(leaveGroupV5.api.async(connection, who.group, [member]));
  return answer.errorCode === groupCodes.NONE ? answer.members[0]?.errorCode ?? groupCodes.NONE : answer.errorCode;
}

/** Kafka's `range`: members with instance ids first, by those; then the others, by member id. Topics that do not exist have no partitions. */
export function shareOut(members: readonly JoinedMember[], partitionsOf: (topic: string) => number): Shares {
  const shares = rangeAssignment(members.toSorted(inJavasOrder), partitionsOf);
  return members.map((member) => ({ memberId: member.memberId, partitions: shares.get(member) ?? [] }));
}

function inJavasOrder(left: JoinedMember, right: JoinedMember): number {
  if (left.instanceId !== null && right.instanceId !== null) return compare(left.instanceId, right.instanceId);
  if (left.instanceId !== null || right.instanceId !== null) return left.instanceId === null ? 1 : -1;
  return compare(left.memberId, right.memberId);
}

/** By UTF-16 units, as Java compares. */
function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function joinedMember(member: { readonly memberId: string; readonly groupInstanceId?: string | null | undefined; readonly metadata: Buffer }): JoinedMember {
  const { memberId, groupInstanceId, metadata } = member;
  return { memberId, instanceId: groupInstanceId ?? null, topics: [...new Set(decodeConsumerProtocolSubscription(metadata).topics)] };
}

function encodeShare(partitions: readonly TopicPartition[]): Buffer {
  const assignedPartitions = byTopic(partitions).map(([topic, of]) => ({ topic, partitions: of.map(({ partition }) => partition) }));
  return encodeConsumerProtocolAssignment({ version: ASSIGNMENT_VERSION, assignedPartitions });
}

function decodeShare(assignment: Buffer): TopicPartition[] {
  return decodeConsumerProtocolAssignment(assignment).assignedPartitions.flatMap(({ topic, partitions }) =>
    partitions.map((partition) => ({ topic, partition }))
  );
}
