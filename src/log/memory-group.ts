/**
 * A consumer group among members of one process: eager `range` assignment. One rebalance at a time; in each, every member hands
 * back all it has, and only when all have done so (L8) is the new share given out. Who has handed back owns nothing (L7).
 */
import { messageOf } from "../base/errors.ts";
import type { Warn } from "./failure.ts";
import { listenerFailed } from "./failure.ts";
import type { TopicPartition } from "../record/record.ts";
import type { AssignmentListener, Membership } from "./log.ts";
import { rangeAssignment } from "./range-assignment.ts";

/** What a group needs of its log. */
export interface GroupHost {
  partitionsOf(topic: string): number;
  readonly warn: Warn;
}

/** One member, as the log sees it. */
export class MemoryMember implements Membership {
  readonly group: string;
  readonly memberId: string;
  readonly topics: readonly string[];
  readonly #owner: MemoryGroup;
  readonly #listener: AssignmentListener;
  readonly #warn: Warn;
  #assigned: readonly TopicPartition[] = [];
  #leaving = false;
  #joined = true;

  constructor(owner: MemoryGroup, memberId: string, topics: readonly string[], listener: AssignmentListener, warn: Warn) {
    this.group = owner.name;
    this.memberId = memberId;
    this.topics = topics;
    this.#owner = owner;
    this.#listener = listener;
    this.#warn = warn;
  }

  get assigned(): readonly TopicPartition[] {
    return this.#assigned;
  }

  /** Stays in the group. */
  get isStaying(): boolean {
    return !this.#leaving;
  }

  /** Is in the group; who leaves is so until its listener has handed back. */
  get isJoined(): boolean {
    return this.#joined;
  }

  owns(topic: string, partition: number): boolean {
    return this.#assigned.some((own) => own.topic === topic && own.partition === partition);
  }

  leave(): Promise<void> {
    if (this.#leaving) return this.#owner.settled();
    this.#leaving = true;
    return this.#owner.rebalance();
  }

  /** Owns what it has until its listener is done; a listener that fails loses it all the same. */
  async handBack(): Promise<void> {
    try {
      if (this.#assigned.length > 0) await this.#listener.revoked(this.#assigned);
    } catch (thrown) {
      this.#warn(`[memory] Listener of member "${this.memberId}" failed in revoked: ${messageOf(thrown)}`, { group: this.group });
    }
    this.#assigned = [];
    this.#joined = !this.#leaving;
  }

  /** Gives the share of this round; a member whose listener refuses it is out. */
  async receive(partitions: readonly TopicPartition[]): Promise<void> {
    this.#assigned = partitions;
    try {
      await this.#listener.assigned(partitions);
    } catch (thrown) {
      this.drop();
      throw thrown;
    }
  }

  /** Out without a word of its own: what it had is lost. */
  drop(): void {
    this.#leaving = true;
    this.#joined = false;
    const lost = this.#assigned;
    this.#assigned = [];
    try {
      if (lost.length > 0) this.#listener.lost(lost);
    } catch (thrown) {
      this.#warn(`[memory] Listener of member "${this.memberId}" failed in lost: ${messageOf(thrown)}`, { group: this.group });
    }
  }
}

/** The members of one group and their rebalances. */
export class MemoryGroup {
  readonly name: string;
  readonly #host: GroupHost;
  #members: MemoryMember[] = [];
  #joined = 0;
  /** The end of the rebalances so far. */
  #turn: Promise<void> = Promise.resolve();
  /** Somebody came or went since the last share-out. */
  #changed = false;

  constructor(name: string, host: GroupHost) {
    this.name = name;
    this.#host = host;
  }

  /** Resolves once the member was told its first share; rejects, and the member is out, when its listener failed at that. */
  async join(topics: readonly string[], listener: AssignmentListener): Promise<MemoryMember> {
    const failures = new FailureSlot();
    const watched: AssignmentListener = {
      assigned: (partitions) => failures.watch(() => listener.assigned(partitions)),
      revoked: (partitions) => listener.revoked(partitions),
      lost: (partitions) => listener.lost(partitions),
    };
    const member = new MemoryMember(this, `${this.name}-${++this.#joined}`, topics, watched, this.#host.warn);
    this.#members.push(member);
    await this.rebalance();
    if (failures.failure !== null) throw listenerFailed("memory", this.name, failures.failure.thrown);
    return member;
  }

  /** Ends when everybody owns the share of the new membership. */
  rebalance(): Promise<void> {
    this.#changed = true;
    this.#turn = this.#turn.then(() => this.#rebalance());
    return this.#turn;
  }

  /** Ends when the rebalances asked for so far have ended. */
  settled(): Promise<void> {
    return this.#turn;
  }

  /** Whether a member wants the topic. */
  reads(topic: string): boolean {
    return this.#members.some((member) => member.topics.includes(topic));
  }

  /** Everybody is out. */
  dissolve(): void {
    for (const member of this.#members) member.drop();
    this.#members = [];
  }

  async #rebalance(): Promise<void> {
    while (this.#changed) {
      await Promise.all(this.#members.map((member) => member.handBack()));
      this.#changed = false;
      this.#members = this.#members.filter((member) => member.isStaying);
      const assignment = rangeAssignment(this.#members, (topic) => this.#host.partitionsOf(topic));
      await Promise.all([...assignment].map(([member, partitions]) => this.#give(member, partitions)));
    }
  }

  async #give(member: MemoryMember, partitions: readonly TopicPartition[]): Promise<void> {
    try {
      await member.receive(partitions);
    } catch (thrown) {
      this.#changed = true;
      this.#host.warn(`[memory] Listener of member "${member.memberId}" failed in assigned and is out: ${messageOf(thrown)}`, { group: this.name });
    }
  }
}

/** Keeps the first failure of a listener while its `join` waits, so that `join` can tell it. */
class FailureSlot {
  failure: { readonly thrown: unknown } | null = null;

  async watch(call: () => void | Promise<void>): Promise<void> {
    try {
      await call();
    } catch (thrown) {
      this.failure ??= { thrown };
      throw thrown;
    }
  }
}
