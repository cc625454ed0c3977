/**
 * A member of a consumer group, as the log shows it: the client tells it what it owns, and it tells the listener. What a listener throws stays here: one that fails in `assigned` is out, one
 * that fails in `revoked` loses its partitions all the same.
 */
import { DefinitionError, FencedError, messageOf } from "../../src/base/errors.ts";
import { listenerFailed } from "../../src/log/failure.ts";
import type { AssignmentListener, Membership } from "../../src/log/log.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { GroupMember, KafkaClient } from "./client.ts";

/** Says what went wrong that no call can say. */
export type Warn = (message: string, error: unknown) => void;

/** What a membership needs. */
export interface MembershipHost {
  readonly client: KafkaClient;
  readonly warn: Warn;
}

/** {@linkcode Membership} over a client's member. */
export class KafkaMembership implements Membership {
  readonly group: string;
  readonly #host: MembershipHost;
  readonly #listener: AssignmentListener;
  #member: GroupMember | null = null;
  #failure: { readonly thrown: unknown } | null = null;
  /** Owns nothing any more, and nothing is told to its listener. */
  #isOut = false;
  #leaving: Promise<void> | null = null;
  /** The owned partitions by topic, for the assignment they were made of. */
  #owned: ReadonlyMap<string, ReadonlySet<number>> = new Map();
  #ownedOf: readonly TopicPartition[] = [];

  private constructor(host: MembershipHost, group: string, listener: AssignmentListener) {
    this.#host = host;
    this.group = group;
    this.#listener = listener;
  }

  /** Resolves once the first assignment was told; rejects, and the member is out, when its listener failed at that. */
  static async join(host: MembershipHost, group: string, topics: readonly string[], listener: AssignmentListener): Promise<KafkaMembership> {
    const membership = new KafkaMembership(host, group, listener);
    const member = await host.client.join(group, topics, {
      assigned: (partitions) => membership.#assigned(partitions),
      revoked: (partitions) => membership.#revoked(partitions),
      lost: (partitions) => membership.#lost(partitions),
      out: (error) => membership.#end(error),
    });
    membership.#member = member;
    if (membership.#failure === null) return membership;
    await membership.#leaveGroup(member);
    throw listenerFailed("kafka", group, membership.#failure.thrown);
  }

  get memberId(): string {
    return this.#member?.memberId ?? "";
  }

  get assigned(): readonly TopicPartition[] {
    return this.#isOut ? [] : (this.#member?.assigned ?? []);
  }

  /** The client's member; null where it is not in the group any more. */
  get member(): GroupMember | null {
    return this.#isOut ? null : this.#member;
  }

  owns({ topic, partition }: TopicPartition): boolean {
    const { assigned } = this;
    if (assigned !== this.#ownedOf) {
      this.#ownedOf = assigned;
      this.#owned = new Map([...Map.groupBy(assigned, (at) => at.topic)].map(([name, of]) => [name, new Set(of.map((at) => at.partition))]));
    }
    return this.#owned.get(topic)?.has(partition) ?? false;
  }

  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  /** Out at once, what it had is lost; then leaves, so that others need not wait until the member's session is over. */
  async dissolve(): Promise<void> {
    const member = this.member;
    if (member === null) return;
    const { assigned } = this;
    this.#lost(assigned);
    this.#isOut = true;
    await (this.#leaving ??= this.#leaveGroup(member));
  }

  async #leave(): Promise<void> {
    const member = this.member;
    if (member !== null) await this.#leaveGroup(member);
    this.#isOut = true;
  }

  async #leaveGroup(member: GroupMember): Promise<void> {
    try {
      await member.leave();
    } catch (error) {
      this.#host.warn(`[kafka] Member "${this.memberId}" could not leave group "${this.group}": others get its partitions once its session is over`, error);
    }
  }

  async #assigned(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#isOut) return;
    try {
      await this.#listener.assigned(partitions);
    } catch (thrown) {
      this.#failure ??= { thrown };
      this.#lost(partitions);
      if (this.#member === null) {
        this.#isOut = true;
        return;
      }
      this.#end(thrown);
      this.#host.warn(`[kafka] Listener of member "${this.memberId}" failed in assigned and is out: ${messageOf(thrown)}`, thrown);
      // Not awaited: the client waits for this call.
      void this.#leaveGroup(this.#member);
    }
  }

  async #revoked(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#isOut || partitions.length === 0) return;
    try {
      await this.#listener.revoked(partitions);
    } catch (thrown) {
      this.#host.warn(`[kafka] Listener of member "${this.memberId}" failed in revoked: ${messageOf(thrown)}`, thrown);
    }
  }

  /** The client's member has ended by itself. */
  #end(error: unknown): void {
    if (this.#isOut) return;
    this.#isOut = true;
    try {
      this.#listener.out?.(asSetting(error));
    } catch (thrown) {
      this.#host.warn(`[kafka] Listener of member "${this.memberId}" failed in out: ${messageOf(thrown)}`, thrown);
    }
  }

  #lost(partitions: readonly TopicPartition[]): void {
    if (this.#isOut || partitions.length === 0) return;
    try {
      this.#listener.lost(partitions);
    } catch (thrown) {
      this.#host.warn(`[kafka] Listener of member "${this.memberId}" failed in lost: ${messageOf(thrown)}`, thrown);
    }
  }
}

/** Two workers have one id: whoever starts the one that was put out again puts the other one out, so that nothing but another id helps. */
function asSetting(error: unknown): unknown {
  return error instanceof FencedError ? new DefinitionError(error.message, { code: "CONFIG_INVALID", details: error.details, cause: error }) : error;
}
