/**
 * A member of a consumer group: a consumer that serves the group and fetches nothing, for it tells librdkafka of no partition that it owns.
 *
 *     REVOKE ─ revoked() awaited ─ what is being committed is done ─ unassign ─ rejoins
 *     REVOKE of a lost assignment ─ lost() ─ what is being committed is done ─ unassign ─ rejoins
 *     ASSIGN ─ assign ─ assigned() awaited
 *
 * librdkafka waits for `unassign` before it joins anew, and until then says of a lost assignment that it is lost. The fencing of commits rests on both: see {@linkcode NativeMember.hold}.
 */
import { FencedError } from "../../../src/base/errors.ts";
import type { AssignmentListener, CommittedPosition } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import type { Timer } from "../../../src/runtime/runtime.ts";
import type { ClientSettings, GroupMember } from "../client.ts";
import { failureKind } from "../failure.ts";
import type { Confluent, NativeCallback, NativeConsumer, NativeError, NativePartition } from "./confluent.ts";
import type { NativeCalls } from "./native-calls.ts";
import { memberConfig } from "./native-config.ts";
import { codeOf, NativeCode, nativeFailure } from "./native-failure.ts";
import { leaveAs } from "./native-gaps.ts";

/** librdkafka wants to be asked at least each `max.poll.interval.ms`; what it has to say it tells at once. */
const TICK_MS = 500;
const LEAVE_PAUSE_MS = 5;

/** A commit by a member: while it lasts the member neither leaves nor joins anew. */
export interface MemberHold {
  /** Throws FencedError when the member has lost, since the hold began, what it owned. */
  check(): void;
  /** A call that works with the consumer: until it is answered the hold lasts, released or not. */
  using(call: (consumer: NativeConsumer, done: NativeCallback<unknown>) => void): (done: NativeCallback<unknown>) => void;
  release(): void;
}

/** What members need of their client. */
export interface MemberHost {
  readonly confluent: Confluent;
  readonly calls: NativeCalls;
  readonly settings: ClientSettings;
  /** Those that have a consumer. */
  readonly members: Set<NativeMember>;
}

/** {@linkcode GroupMember} over a consumer of librdkafka. */
export class NativeMember implements GroupMember {
  readonly group: string;
  /** librdkafka joins by itself, and tells of its trouble by warnings. */
  readonly trouble = null;
  readonly #calls: NativeCalls;
  readonly #settings: ClientSettings;
  readonly #members: Set<NativeMember>;
  readonly #listener: AssignmentListener;
  /** Its own among the members of this client in the group. */
  readonly #instanceId: string | null;
  readonly #consumer: NativeConsumer;
  readonly #joined = Promise.withResolvers<void>();
  #assigned: readonly TopicPartition[] = [];
  /** What librdkafka was last told to own: it asks for that back. */
  #given = 0;
  /** One more with each change of what is owned. */
  #epoch = 0;
  #chain: Promise<void> = Promise.resolve();
  #holds = 0;
  #commits: Promise<unknown> = Promise.resolve();
  #onCommitted: ((error: NativeError | undefined) => void) | null = null;
  #onReleased: (() => void) | null = null;
  #timer: Timer | null = null;
  #isAsking = false;
  #isToAskAgain = false;
  /** Owns nothing any more, and nothing is told to its listener. */
  #isOut = false;
  /** librdkafka is not asked any more. */
  #isGone = false;
  #leaving: Promise<void> | null = null;
  #disconnecting: Promise<void> | null = null;
  /** Another came under the same instance id. */
  #isReplaced = false;

  private constructor({ confluent, calls, settings, members }: MemberHost, group: string, listener: AssignmentListener) {
    this.group = group;
    this.#calls = calls;
    this.#settings = settings;
    this.#members = members;
    this.#listener = listener;
    this.#joined.promise.catch(() => {});
    let { instanceId } = settings;
    const taken = [...members].filter((member) => member.group === group).map((member) => member.#instanceId);
    for (let number = 2; instanceId !== null && taken.includes(instanceId); number++) instanceId = `${settings.instanceId}-${number}`;
    this.#instanceId = instanceId;
    const consumer = this.#consumer = new confluent.KafkaConsumer({
      ...memberConfig(settings, group, instanceId),
      rebalance_cb: (event: NativeError, partitions: readonly NativePartition[]) => this.#rebalance(event, partitions),
      offset_commit_cb: (error: NativeError | undefined) => this.#onCommitted?.(error),
      queue_non_empty_cb: () => this.#ask(),
    });
    consumer.setDefaultConsumeTimeout(0);
    consumer.on("event.error", (error) => this.#calls.isClosed || settings.warn(`[kafka] Member of group "${group}": ${error.message}`, error));
  }

  /** Resolves once the first `assigned` is done. */
  static async join(host: MemberHost, group: string, topics: readonly string[], listener: AssignmentListener): Promise<NativeMember> {
    const { calls, settings, members } = host;
    const what = `join group "${group}"`;
    const member = new NativeMember(host, group, listener);
    members.add(member);
    const consumer = member.#consumer;
    try {
      await calls.call(what, (done) => consumer.connect({ timeout: settings.timeoutMs, allTopics: false }, done));
      // The others may take their time to hand over, and one that died counts until its session is over.
      const timeoutMs = settings.rebalanceTimeoutMs + settings.sessionTimeoutMs + settings.timeoutMs;
      await calls.wait<void>(what, timeoutMs, (resolve, reject) => {
        consumer.subscribe(topics);
        member.#tick();
        member.#joined.promise.then(resolve, reject);
      });
      return member;
    } catch (error) {
      if (!calls.isClosed) await member.leave();
      throw nativeFailure(error, what);
    }
  }

  /** librdkafka's name for it: the broker's is not told. */
  get memberId(): string {
    return this.#consumer.name ?? "";
  }

  get assigned(): readonly TopicPartition[] {
    return this.#assigned;
  }

  /** Throws FencedError where the member does not own all of `positions`. */
  hold(positions: readonly CommittedPosition[]): MemberHold {
    const epoch = this.#epoch;
    const check = (): void => {
      // Between a loss and our `unassign`, librdkafka has no member id and generation any more, and brokers take a commit with neither from anyone. A loss in the middle of `revoked` it does
      // not even tell; then it is the instance id, which goes with each commit, that makes the broker look.
      if (this.#isOut || this.#epoch !== epoch || !this.#consumer.isConnected() || this.#consumer.assignmentLost()) {
        throw this.#fenced("is not in the group any more, or lost its partitions");
      }
    };
    check();
    for (const at of positions) {
      const isOwned = this.#assigned.some(({ topic, partition }) => topic === at.topic && partition === at.partition);
      if (!isOwned) throw this.#fenced(`does not own "${at.topic}" partition ${at.partition}`);
    }
    const pin = (): () => void => {
      this.#holds++;
      return () => {
        if (--this.#holds === 0) this.#onReleased?.();
      };
    };
    const using: MemberHold["using"] = (call) => (done) => {
      const unpin = pin();
      try {
        call(this.#consumer, (error, value) => {
          unpin();
          done(error, value);
        });
      } catch (error) {
        unpin();
        throw error;
      }
    };
    return { check, using, release: pin() };
  }

  /** Commits positions without a transaction; FencedError when the group has moved on. */
  async commit(positions: readonly CommittedPosition[]): Promise<void> {
    const hold = this.hold(positions);
    const offsets = positions.map(({ topic, partition, position }) => ({ topic, partition, offset: position }));
    const { timeoutMs } = this.#settings;
    const what = `commit positions of group "${this.group}"`;
    const answered = this.#calls.wait<void>(what, timeoutMs, (resolve, reject) => {
      // The answers do not say which commit they are for, so there is one at a time.
      this.#commits = this.#commits.then(async () => {
        const answer = Promise.withResolvers<void>();
        this.#onCommitted = (error) => error ? answer.reject(error) : answer.resolve();
        try {
          hold.check();
          this.#consumer.commit(offsets);
          resolve(await answer.promise);
        } catch (error) {
          reject(nativeFailure(error, what));
        }
        this.#onCommitted = null;
      });
    });
    try {
      await answered;
    } finally {
      hold.release();
    }
  }

  leave(): Promise<void> {
    return this.#leaving ??= this.#leave();
  }

  /** Leaves without a word to the listener. The client's calls must be closed already. */
  async close(): Promise<void> {
    this.#isOut = true;
    this.#assigned = [];
    await this.#goOut();
  }

  async #leave(): Promise<void> {
    if (this.#isOut) return;
    if (this.#consumer.isConnected()) {
      this.#consumer.unsubscribe();
      await this.#handedBack();
    }
    if (this.#isOut) return;
    this.#isOut = true;
    this.#epoch++;
    await this.#goOut();
    if (this.#instanceId !== null && !this.#isReplaced) await leaveAs(this.#settings, this.group, this.#instanceId);
  }

  /** Waits until `revoked` was called and done, if it will be. */
  async #handedBack(): Promise<void> {
    const { runtime, rebalanceTimeoutMs } = this.#settings;
    const deadline = runtime.monotonic() + rebalanceTimeoutMs;
    do {
      // What librdkafka said before it heard of our leaving is on its way.
      this.#ask();
      try {
        await this.#calls.pause("leave", LEAVE_PAUSE_MS);
      } catch {
        return;
      }
      await this.#chain;
    } while (this.#given > 0 && !this.#isOut && runtime.monotonic() < deadline);
  }

  #rebalance({ code }: NativeError, partitions: readonly NativePartition[]): void {
    if (code === NativeCode.assign) {
      const gained = partitions.map(({ topic, partition }) => ({ topic, partition })).sort(byPlace);
      this.#given = gained.length;
      this.#chain = this.#chain.then(() => this.#gain(gained));
    } else {
      const isLost = this.#isOut || this.#consumer.assignmentLost();
      if (isLost) this.#epoch++;
      this.#chain = this.#chain.then(() => this.#handBack(isLost));
    }
  }

  async #gain(gained: readonly TopicPartition[]): Promise<void> {
    this.#epoch++;
    this.#try("assign", () => this.#consumer.assign([]));
    if (this.#isOut) return;
    this.#assigned = gained;
    try {
      await this.#listener.assigned(gained);
    } catch (error) {
      this.#settings.warn(`[kafka] The listener of group "${this.group}" failed in assigned`, error);
    }
    this.#joined.resolve();
  }

  async #handBack(isLost: boolean): Promise<void> {
    const owned = this.#assigned;
    if (!this.#isOut) {
      try {
        if (isLost) this.#listener.lost(owned);
        else await this.#listener.revoked(owned);
      } catch (error) {
        this.#settings.warn(`[kafka] The listener of group "${this.group}" failed in ${isLost ? "lost" : "revoked"}`, error);
      }
    }
    this.#assigned = [];
    await this.#released();
    this.#epoch++;
    this.#given = 0;
    this.#try("unassign", () => this.#consumer.unassign());
  }

  /** Asks librdkafka what it has to say: rebalances come from within. */
  #ask(): void {
    if (this.#isGone || !this.#consumer.isConnected()) return;
    // What is told while librdkafka is being asked may have come too late for that.
    if (this.#isAsking) return void (this.#isToAskAgain = true);
    this.#isAsking = true;
    this.#isToAskAgain = false;
    this.#consumer.consume(1, (error) => {
      this.#isAsking = false;
      if (error) this.#complain(error);
      if (this.#isToAskAgain) this.#ask();
    });
  }

  #tick(): void {
    if (this.#isGone) return;
    this.#ask();
    const delayMs = Math.min(TICK_MS, this.#settings.rebalanceTimeoutMs / 4);
    this.#timer = this.#settings.runtime.setTimer(() => this.#tick(), delayMs);
  }

  #complain(error: NativeError): void {
    if (this.#isOut || this.#calls.isClosed) return;
    const failure = nativeFailure(error, `stay in group "${this.group}"`);
    const kind = failureKind(failure);
    if (kind === "auth" || kind === "invalid") this.#joined.reject(failure);
    this.#settings.warn(failure.message, failure);
    const isOver = error.isFatal === true || codeOf(error) === NativeCode.fatal || codeOf(error) === NativeCode.fenced;
    if (!isOver) return;
    // To join anew would throw the other one out in turn, and so on forever.
    this.#isReplaced = true;
    this.#epoch++;
    const owned = this.#assigned;
    this.#assigned = [];
    this.#joined.reject(failure);
    if (owned.length > 0) this.#listener.lost(owned);
    this.#listener.out?.(failure);
  }

  #try(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      // Refused only where the consumer is closing, and then it makes no difference.
      if (!this.#isOut) this.#settings.warn(`[kafka] Cannot ${what} in group "${this.group}"`, error);
    }
  }

  async #released(): Promise<void> {
    while (this.#holds > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onReleased = resolve;
      await promise;
    }
  }

  #goOut(): Promise<void> {
    return this.#disconnecting ??= (async () => {
      await this.#released();
      this.#isGone = true;
      this.#timer?.cancel();
      if (this.#consumer.isConnected()) await new Promise<void>((resolve) => this.#consumer.disconnect(() => resolve()));
      this.#members.delete(this);
    })();
  }

  #fenced(why: string): FencedError {
    return new FencedError(`[kafka] Cannot commit for group "${this.group}": member "${this.memberId}" ${why}`, { details: { group: this.group } });
  }
}

function byPlace(left: TopicPartition, right: TopicPartition): number {
  return left.topic === right.topic ? left.partition - right.partition : left.topic < right.topic ? -1 : 1;
}
