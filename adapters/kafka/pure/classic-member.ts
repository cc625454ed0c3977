/**
 * One member of a consumer group, by Kafka's classic protocol with eager `range`: in each rebalance everybody hands back all, then the leader shares out.
 *
 * One loop does it all, so that listener calls come one after the other: join and sync, `assigned`, wait for a reason to stop, `revoked` or `lost`, and again. Heartbeats run beside it. What is
 * lost is no longer `assigned` from that moment on, though the listener may hear of it later: when it has ended what it is at.
 *
 * Heartbeats pause from the end of `revoked` to the new assignment: nothing is owned then, and a coordinator keeps alive who waits for its answer.
 */
import { backoffMs } from "../../../src/base/backoff.ts";
import { FencedError, messageOf } from "../../../src/base/errors.ts";
import { listenerFailed } from "../../../src/log/failure.ts";
import type { AssignmentListener } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { closedFailure, isRetriable, kafkaFailure, needsRefresh } from "../failure.ts";
import type { Cluster, Lane } from "./cluster.ts";
import { groupCodes, joinGroup, leaveGroup, shareOut, syncGroup } from "./group-protocol.ts";
import type { Identity, Shares } from "./group-protocol.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Pulse } from "./heartbeat.ts";
import type { PureMember } from "./member.ts";
import { PartitionWatch, settledCounts } from "./partition-watch.ts";

/** What a member needs. */
export interface MemberHost {
  readonly cluster: Cluster;
  /** A connection of its own: a join lets others on it wait. */
  readonly lane: Lane;
  readonly instanceId: string | null;
}

/** A share, and what its member has to look after. */
interface Entry {
  readonly who: Identity;
  readonly partitions: readonly TopicPartition[];
  /** Of all topics of the group, for its leader; else null. */
  readonly counts: ReadonlyMap<string, number> | null;
  /** Somebody has to share out anew at once. */
  readonly isStale: boolean;
}

const PAUSE_FIRST_MS = 20;
const PAUSE_MAX_MS = 1_000;
/** A coordinator waits for members as long as their rebalance time-out; its answer may take a little longer. */
const JOIN_SLACK_MS = 10_000;

/** See the module. */
export class ClassicMember implements PureMember {
  readonly group: string;
  readonly instanceId: string | null;
  /** Resolves when the first `assigned` is done; rejects when it does not come to that. */
  readonly joined: Promise<void>;
  /** Resolves when it is no member any more. */
  readonly ended: Promise<void>;
  readonly #cluster: Cluster;
  readonly #lane: Lane;
  readonly #topics: readonly string[];
  readonly #listener: AssignmentListener;
  readonly #first = Promise.withResolvers<void>();
  readonly #ending = Promise.withResolvers<null>();
  #woken = Promise.withResolvers<void>();
  /** As of the last assignment. */
  #who: Identity;
  /** To join with; empty: unknown to the group. */
  #nextId = "";
  #assigned: readonly TopicPartition[] = [];
  #heart: Heartbeat | null = null;
  #watch: PartitionWatch | null = null;
  #pulse: Pulse | null = null;
  /** What a pulse has taken and the listener has not heard of. */
  #lost: readonly TopicPartition[] | null = null;
  #hasJoined = false;
  #isEnding = false;
  /** Nothing is told any more. */
  #isAbandoned = false;
  #leaveFailure: unknown = null;
  #trouble: string | null = null;

  constructor({ cluster, lane, instanceId }: MemberHost, group: string, topics: readonly string[], listener: AssignmentListener) {
    this.group = group;
    this.instanceId = instanceId;
    this.#cluster = cluster;
    this.#lane = lane;
    this.#topics = topics;
    this.#listener = listener;
    this.#who = { group, memberId: "", instanceId, generationId: -1 };
    this.joined = this.#first.promise;
    this.ended = this.#live();
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  get memberId(): string {
    return this.#who.memberId;
  }

  get generationId(): number {
    return this.#who.generationId;
  }

  get assigned(): readonly TopicPartition[] {
    this.#lookAtClock();
    return this.#assigned;
  }

  async leave(): Promise<void> {
    this.#end();
    await this.ended;
    if (this.#leaveFailure !== null) throw this.#leaveFailure;
  }

  /** Ends without a word to anybody: the client closes. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#assigned = [];
    this.#rest();
    this.#first.reject(closedFailure(`join group "${this.group}"`));
    this.#end();
  }

  #end(): void {
    this.#isEnding = true;
    this.#ending.resolve(null);
    this.#woken.resolve();
  }

  async #live(): Promise<void> {
    try {
      for (let entry = await this.#enter(); entry !== null; entry = await this.#enter()) {
        this.#begin(entry);
        await this.#tellAssigned(entry.partitions);
        this.#hasJoined = true;
        this.#first.resolve();
        if (this.#pulse === null && !this.#isEnding) await this.#woken.promise;
        await this.#handBack();
      }
    } catch (error) {
      this.#rest();
      this.#assigned = [];
      if (this.#hasJoined && !this.#isAbandoned) this.#tellOut(error);
      this.#first.reject(error);
    }
    this.#first.reject(closedFailure(`join group "${this.group}"`));
    await this.#depart();
  }

  // ── Joining ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Joins until there is a share; null when it ends instead. Throws what trying again cannot mend. */
  async #enter(): Promise<Entry | null> {
    const { runtime, timeoutMs } = this.#cluster.settings;
    let failingFrom: number | null = null;
    for (let attempt = 0; !this.#isOver();) {
      try {
        if (attempt > 1) await this.#orEnd(this.#cluster.pause(this.#pauseMs(attempt - 1)));
        attempt++;
        const entry = await this.#orEnd(this.#joinAndSync());
        if (entry !== null) return entry;
        failingFrom = this.#trouble = null;
      } catch (error) {
        if (this.#isOver()) return null;
        if (error instanceof FencedError || (!this.#hasJoined && !isRetriable(error))) throw error;
        if (needsRefresh(error)) this.#cluster.forgetCoordinator("group", this.group);
        const now = runtime.monotonic();
        failingFrom ??= now;
        if (!this.#hasJoined && now - failingFrom > timeoutMs) throw error;
        attempt = Math.max(attempt, 2);
        if (now - failingFrom <= PAUSE_MAX_MS) continue;
        if (this.#trouble === null) this.#warn(`[kafka] Cannot join group "${this.group}", trying again: ${messageOf(error)}`, error);
        this.#trouble = messageOf(error);
      }
    }
    return null;
  }

  /** One join and sync; null when it has to be done again. */
  async #joinAndSync(): Promise<Entry | null> {
    const { settings } = this.#cluster;
    const what = `join group "${this.group}"`;
    const options = { timeoutMs: settings.rebalanceTimeoutMs + JOIN_SLACK_MS, what };
    const asking: Identity = { group: this.group, memberId: this.#nextId, instanceId: this.instanceId, generationId: -1 };
    const coordinator = await this.#cluster.coordinator("group", this.group);
    const joined = await this.#cluster.request(this.#lane, coordinator, (connection) => joinGroup(connection, asking, this.#topics, settings), options);
    if (!this.#isTaken(joined.errorCode, joined.memberId, what)) return null;
    this.#nextId = joined.memberId;
    const who = { ...asking, memberId: joined.memberId, generationId: joined.generationId };
    const counts = joined.members === null ? null : await settledCounts(this.#cluster, [...new Set(joined.members.flatMap(({ topics }) => topics))]);
    const shares = counts === null ? [] : shareOut(joined.members!, (topic) => counts.get(topic) ?? 0);
    const brought = joined.keepsAssignment ? [] : shares;
    const synced = await this.#cluster.request(this.#lane, coordinator, (connection) => syncGroup(connection, who, brought), options);
    if (!this.#isTaken(synced.errorCode, "", what)) return null;
    return { who, partitions: synced.partitions, counts, isStale: joined.keepsAssignment && !isSame(shares, who, synced.partitions) };
  }

  /** Whether an answer lets the member go on; throws where it is over. */
  #isTaken(code: number, memberId: string, what: string): boolean {
    switch (code) {
      case groupCodes.NONE:
        return true;
      case groupCodes.MEMBER_ID_REQUIRED:
      case groupCodes.UNKNOWN_MEMBER_ID:
        this.#nextId = code === groupCodes.MEMBER_ID_REQUIRED ? memberId : "";
        return false;
      case groupCodes.REBALANCE_IN_PROGRESS:
      case groupCodes.ILLEGAL_GENERATION:
        return false;
      case groupCodes.FENCED_INSTANCE_ID:
        throw this.#fenced();
      default:
        throw kafkaFailure(code, what);
    }
  }

  #begin({ who, partitions, counts, isStale }: Entry): void {
    this.#trouble = null;
    this.#who = who;
    this.#assigned = partitions;
    this.#pulse = isStale ? "rebalance" : null;
    this.#lost = null;
    this.#woken = Promise.withResolvers();
    this.#heart = new Heartbeat(this.#cluster, who, (pulse) => this.#hear(pulse));
    this.#heart.start();
    if (counts === null) return;
    this.#watch = new PartitionWatch(this.#cluster, counts, () => this.#hear("rebalance"));
    this.#watch.start();
  }

  // ── Handing back ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** What the heart says. What it takes is gone at once. */
  #hear(pulse: Pulse): void {
    if (pulse === "rebalance") this.#pulse ??= pulse;
    else {
      this.#pulse = pulse;
      this.#lost = this.#assigned;
      this.#assigned = [];
      this.#rest();
    }
    this.#woken.resolve();
  }

  /** After a pause of the process something may be done with the member before any timer fires. */
  #lookAtClock(): void {
    if (this.#heart?.isExpired) this.#hear("expired");
  }

  /** Tells the listener that its partitions go, or are gone. Until `revoked` is done they are the member's own. */
  async #handBack(): Promise<void> {
    this.#lookAtClock();
    if (this.#lost === null) await this.#tellRevoked();
    else this.#tellLost(this.#lost);
    this.#assigned = [];
    this.#rest();
    if (this.#pulse === "unknown") this.#nextId = "";
    if (this.#pulse === "fenced") throw this.#fenced();
  }

  #rest(): void {
    this.#heart?.stop();
    this.#heart = null;
    this.#watch?.stop();
    this.#watch = null;
  }

  async #depart(): Promise<void> {
    if (this.#isAbandoned || this.#nextId === "" || this.#pulse === "fenced") return;
    const what = `leave group "${this.group}"`;
    const who = { ...this.#who, memberId: this.#nextId };
    try {
      await this.#cluster.retry(what, async () => {
        const coordinator = await this.#cluster.coordinator("group", this.group);
        const code = await this.#cluster.request("control", coordinator, (connection) => leaveGroup(connection, who), { what });
        if (code === groupCodes.NONE || code === groupCodes.UNKNOWN_MEMBER_ID || code === groupCodes.FENCED_INSTANCE_ID) return;
        const failure = kafkaFailure(code, what);
        if (needsRefresh(failure)) this.#cluster.forgetCoordinator("group", this.group);
        throw failure;
      });
    } catch (error) {
      this.#leaveFailure = error;
    }
  }

  // ── The listener ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #tellAssigned(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#isAbandoned) return;
    try {
      await this.#listener.assigned(partitions);
    } catch (thrown) {
      this.#tellLost(this.#lost ?? this.#assigned);
      throw listenerFailed("kafka", this.group, thrown);
    }
  }

  async #tellRevoked(): Promise<void> {
    if (this.#isAbandoned || this.#assigned.length === 0) return;
    try {
      await this.#listener.revoked(this.#assigned);
    } catch (thrown) {
      this.#warn(`[kafka] Listener of member "${this.memberId}" failed in revoked: ${messageOf(thrown)}`, thrown);
    }
  }

  #tellLost(partitions: readonly TopicPartition[]): void {
    if (this.#isAbandoned || partitions.length === 0) return;
    if (this.#pulse !== null && this.#pulse !== "rebalance" && this.#pulse !== "fenced") this.#warn(lossText[this.#pulse](this.memberId, this.group), null);
    try {
      this.#listener.lost(partitions);
    } catch (thrown) {
      this.#warn(`[kafka] Listener of member "${this.memberId}" failed in lost: ${messageOf(thrown)}`, thrown);
    }
  }

  #tellOut(error: unknown): void {
    this.#warn(`[kafka] Member "${this.memberId}" of group "${this.group}" is out: ${messageOf(error)}`, error);
    try {
      this.#listener.out?.(error);
    } catch (thrown) {
      this.#warn(`[kafka] Listener of member "${this.memberId}" failed in out: ${messageOf(thrown)}`, thrown);
    }
  }

  // ── Odds and ends ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** What was waited for, or null when the member ends first. */
  #orEnd<T>(awaited: Promise<T>): Promise<T | null> {
    return Promise.race([awaited, this.#ending.promise]);
  }

  #isOver(): boolean {
    return this.#isEnding || this.#cluster.isClosed;
  }

  #pauseMs(attempt: number): number {
    const random = (): number => (this.#cluster.settings.runtime.randomBytes(1)[0] ?? 0) / 256;
    return 1 + backoffMs({ attempt, firstMs: PAUSE_FIRST_MS, maxMs: PAUSE_MAX_MS, random });
  }

  #fenced(): FencedError {
    const message = `[kafka] Member of group "${this.group}" stopped: another one joined under its instance id "${this.instanceId}"; ` +
      "give each worker a workerId of its own, or let only one of them run";
    return new FencedError(message, { details: { group: this.group, instanceId: this.instanceId } });
  }

  #warn(message: string, error: unknown): void {
    this.#cluster.settings.warn(message, error);
  }
}

const lossText: Readonly<Record<"unknown" | "generation" | "expired", (memberId: string, group: string) => string>> = {
  unknown: (memberId, group) => `[kafka] Member "${memberId}" lost its partitions and joins anew: group "${group}" does not know it any more`,
  generation: (memberId, group) => `[kafka] Member "${memberId}" lost its partitions and joins anew: group "${group}" has moved on without it`,
  expired: (memberId, group) =>
    `[kafka] Member "${memberId}" lost its partitions and joins anew: no heartbeat reached the coordinator of group "${group}" for the session time-out`,
};

/** Whether a member got what it would get now. */
function isSame(shares: Shares, who: Identity, partitions: readonly TopicPartition[]): boolean {
  const text = (all: readonly TopicPartition[]): string => all.map(({ topic, partition }) => `${topic} ${partition}`).sort().join();
  return text(shares.find(({ memberId }) => memberId === who.memberId)?.partitions ?? []) === text(partitions);
}
