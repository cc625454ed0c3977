/** The one member that a group may have in an embedded log: it owns every partition of its topics. */
import { messageOf } from "../base/errors.ts";
import type { TopicPartition } from "../record/record.ts";
import type { Warn } from "./failure.ts";
import type { AssignmentListener, Membership } from "./log.ts";

/** What a member needs of its log. */
export interface EmbeddedMemberHost {
  readonly warn: Warn;
  /** The member is out. */
  left(member: EmbeddedMember): void;
}

/** A member; its generation is one more than that of the member before it, over restarts. */
export class EmbeddedMember implements Membership {
  readonly group: string;
  readonly groupId: number;
  readonly generation: number;
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  readonly #host: EmbeddedMemberHost;
  readonly #listener: AssignmentListener;
  #assigned: readonly TopicPartition[];
  #leaving: Promise<void> | null = null;

  constructor(
    host: EmbeddedMemberHost,
    listener: AssignmentListener,
    identity: { readonly group: string; readonly groupId: number; readonly generation: number; readonly assigned: readonly TopicPartition[] },
  ) {
    this.#host = host;
    this.#listener = listener;
    this.group = identity.group;
    this.groupId = identity.groupId;
    this.generation = identity.generation;
    this.memberId = `${identity.group}-${identity.generation}`;
    this.topics = new Set(identity.assigned.map(({ topic }) => topic));
    this.#assigned = identity.assigned;
  }

  get assigned(): readonly TopicPartition[] {
    return this.#assigned;
  }

  /** Tells the listener its share; a member whose listener refuses it is out. */
  async begin(): Promise<void> {
    try {
      await this.#listener.assigned(this.#assigned);
    } catch (thrown) {
      this.drop();
      throw thrown;
    }
  }

  /** Owns what it has until the listener is done; a listener that fails leaves all the same. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  /** Out without being asked: what it had is lost. */
  drop(): void {
    const lost = this.#assigned;
    this.#out();
    try {
      if (lost.length > 0) this.#listener.lost(lost);
    } catch (thrown) {
      this.#say("lost", thrown);
    }
  }

  async #leave(): Promise<void> {
    if (this.#assigned.length > 0) {
      try {
        await this.#listener.revoked(this.#assigned);
      } catch (thrown) {
        this.#say("revoked", thrown);
      }
    }
    this.#out();
  }

  #out(): void {
    this.#leaving ??= Promise.resolve();
    this.#assigned = [];
    this.#host.left(this);
  }

  #say(call: string, thrown: unknown): void {
    this.#host.warn(`[embedded] Listener of member "${this.memberId}" failed in ${call}: ${messageOf(thrown)}`, { group: this.group });
  }
}
