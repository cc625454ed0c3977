/** Groups of the pure client on a real broker. */
import { describe, expect } from "bun:test";
import { openGroups } from "../../adapters/kafka/pure/group.ts";
import type { Groups } from "../../adapters/kafka/pure/group.ts";
import type { PureMember } from "../../adapters/kafka/pure/member.ts";
import { commitPositions, fetchPositions } from "../../adapters/kafka/pure/positions.ts";
import type { AssignmentListener } from "../../src/log/log.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { Runtime, Timer } from "../../src/runtime/runtime.ts";
import { brokerTest } from "./broker.ts";
import { withCluster } from "./pure-subject.ts";
import type { PureSubject } from "./pure-subject.ts";

interface GroupSubject extends PureSubject {
  readonly groups: Groups;
  /** Groups of a cluster of their own, as another worker has. */
  other(more?: Parameters<PureSubject["open"]>[0]): Promise<Groups>;
}

function withGroups(body: (subject: GroupSubject) => Promise<void>, more: Parameters<typeof withCluster>[1] = {}): Promise<void> {
  return withCluster(async (subject) => {
    const opened: Groups[] = [openGroups(subject.cluster)];
    const other = async (change: Parameters<PureSubject["open"]>[0] = {}): Promise<Groups> => {
      const groups = openGroups(await subject.open(change));
      opened.push(groups);
      return groups;
    };
    try {
      await body({ ...subject, groups: opened[0]!, other });
    } finally {
      for (const groups of opened) await groups.close();
    }
  }, more);
}

const text = (partitions: readonly TopicPartition[]): string =>
  partitions.map(({ topic, partition }) => `${topic.slice(topic.lastIndexOf("-") + 1)}/${partition}`).sort().join(" ");

/** A listener that writes down what it hears, and lets others wait for it. */
class Ear implements AssignmentListener {
  readonly heard: string[] = [];
  readonly #more: Partial<AssignmentListener>;
  #changed = Promise.withResolvers<void>();

  constructor(more: Partial<AssignmentListener> = {}) {
    this.#more = more;
  }

  assigned(partitions: readonly TopicPartition[]): void | Promise<void> {
    this.#note(`assigned ${text(partitions)}`);
    return this.#more.assigned?.(partitions);
  }

  revoked(partitions: readonly TopicPartition[]): void | Promise<void> {
    this.#note(`revoked ${text(partitions)}`);
    return this.#more.revoked?.(partitions);
  }

  lost(partitions: readonly TopicPartition[]): void {
    this.#note(`lost ${text(partitions)}`);
    this.#more.lost?.(partitions);
  }

  out(): void {
    this.#note("out");
  }

  async until(line: string, times = 1): Promise<void> {
    while (this.heard.filter((one) => one === line).length < times) await this.#changed.promise;
  }

  /** Waits until it heard so much. */
  async lines(count: number): Promise<void> {
    while (this.heard.length < count) await this.#changed.promise;
  }

  #note(line: string): void {
    this.heard.push(line.trim());
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** A runtime whose timers can be held back, and whose clock goes on meanwhile: what a stopped process sees. */
function stoppable(runtime: Runtime): { readonly runtime: Runtime; stop(): void; go(): void } {
  let held: (() => void)[] | null = null;
  const setTimer = (fn: () => void, delayMs: number): Timer => {
    let isCancelled = false;
    const fire = (): void => {
      if (isCancelled) return;
      if (held === null) fn();
      else held.push(fire);
    };
    const timer = runtime.setTimer(fire, delayMs);
    return {
      cancel() {
        isCancelled = true;
        timer.cancel();
      },
    };
  };
  return {
    runtime: { ...runtime, setTimer },
    stop: () => void (held ??= []),
    go() {
      const fired = held ?? [];
      held = null;
      for (const fire of fired) fire();
    },
  };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => null, (error: unknown) => error);
}

async function committed({ cluster, prefix }: PureSubject, topic: string, partition = 0): Promise<number | null> {
  return (await fetchPositions(cluster, `${prefix}g`, [{ topic, partition }]))[0]?.position ?? null;
}

describe("pure group", () => {
  brokerTest("L8 one member has all; two share by range; what one leaves goes to the other", () =>
    withGroups(async ({ groups, topic, prefix }) => {
      const [left, right] = [await topic("left", 3), await topic("right", 3)];
      const [one, two] = [new Ear(), new Ear()];

      const first = await groups.join(`${prefix}g`, [left, right], one);
      expect(text(first.assigned)).toBe("left/0 left/1 left/2 right/0 right/1 right/2");
      expect([first.group, first.memberId.length > 0, first.instanceId]).toEqual([`${prefix}g`, true, null]);
      const generation = first.generationId;
      const second = await groups.join(`${prefix}g`, [right, left], two);
      await one.until("revoked left/0 left/1 left/2 right/0 right/1 right/2");
      await one.lines(3);

      // Members stand in the order of their ids.
      const bigger = first.memberId < second.memberId ? first : second;
      expect(text(bigger.assigned)).toBe("left/0 left/1 right/0 right/1");
      expect(text(bigger === first ? second.assigned : first.assigned)).toBe("left/2 right/2");
      expect(first.generationId).toBe(generation + 1);
      await first.leave();
      await two.until("assigned left/0 left/1 left/2 right/0 right/1 right/2");
      expect([first.assigned, one.heard.at(-1)!.startsWith("revoked")]).toEqual([[], true]);
      await second.leave();
      expect(two.heard.filter((line) => line.startsWith("lost"))).toEqual([]);
    }));

  brokerTest(
    "L8 while revoked() runs the member commits, its session is kept, and nobody else is assigned; a commit after it is refused",
    () =>
      withGroups(async (subject) => {
        const { groups, other, topic, prefix, cluster } = subject;
        const name = await topic("a", 2);
        const gate = Promise.withResolvers<void>();
        const done = Promise.withResolvers<void>();
        const one = new Ear({
          async revoked() {
            await gate.promise;
            await commitPositions(cluster, first, [{ topic: name, partition: 0, position: 7 }]);
            done.resolve();
          },
        });
        const first: PureMember = await groups.join(`${prefix}g`, [name], one);
        const before = {
          group: first.group,
          memberId: first.memberId,
          generationId: first.generationId,
          instanceId: null,
          assigned: [],
          leave: () => first.leave(),
        };
        const two = new Ear();
        const joining = (await other()).join(`${prefix}g`, [name], two);
        await one.until("revoked a/0 a/1");
        // Longer than the session: heartbeats go on.
        await cluster.pause(2_500);
        expect([text(first.assigned), two.heard]).toEqual(["a/0 a/1", []]);
        gate.resolve();
        await done.promise;
        const second = await joining;
        expect(await committed(subject, name)).toBe(7);
        const refused = await failureOf(commitPositions(cluster, before, [{ topic: name, partition: 0, position: 9 }]));
        expect(refused).toMatchObject({ code: "FENCED" });
        expect(await committed(subject, name)).toBe(7);
        await second.leave();
      }, { sessionTimeoutMs: 1_500 }),
  );

  brokerTest(
    "F06 a member whose process stood still loses all at once, before anything else, and comes back",
    () =>
      withGroups(async ({ groups, other, topic, prefix, warnings, cluster }) => {
        const name = await topic("a", 2);
        const paused = stoppable(cluster.settings.runtime);
        const one = new Ear();
        const member = await (await other({ runtime: paused.runtime })).join(`${prefix}g`, [name], one);
        const two = new Ear();
        paused.stop();
        const second = await groups.join(`${prefix}g`, [name], two);
        expect(text(second.assigned)).toBe("a/0 a/1");
        expect(one.heard).toEqual(["assigned a/0 a/1"]);

        // No timer has fired and no answer was asked for: the clock alone says so.
        expect(member.assigned).toEqual([]);
        await one.until("lost a/0 a/1");
        paused.go();
        await two.until("revoked a/0 a/1");
        while (member.assigned.length === 0 || second.assigned.length === 0) await cluster.pause(10);
        expect(text([...member.assigned, ...second.assigned])).toBe("a/0 a/1");
        expect(one.heard.filter((line) => line.startsWith("revoked"))).toEqual([]);
        expect(warnings.join("\n")).toContain("lost its partitions and joins anew");
        await member.leave();
        await second.leave();
      }, { sessionTimeoutMs: 1_500 }),
  );

  brokerTest(
    "a session that ended at the coordinator alone is lost by what heartbeats are answered",
    () =>
      withGroups(async ({ groups, topic, prefix, admin }) => {
        const name = await topic("a", 2);
        const one = new Ear();
        const member = await groups.join(`${prefix}g`, [name], one);
        const before = member.memberId;
        await admin.removeMembersFromConsumerGroup({ groupId: `${prefix}g`, members: [{ memberId: before }] });
        await one.until("assigned a/0 a/1", 2);
        expect(one.heard).toEqual(["assigned a/0 a/1", "lost a/0 a/1", "assigned a/0 a/1"]);
        expect(member.memberId).not.toBe(before);
        await member.leave();
      }, { sessionTimeoutMs: 1_500 }),
  );

  brokerTest(
    "a member under an instance id comes back to what it had without a rebalance; two of them do not fight",
    () =>
      withGroups(async ({ groups, other, topic, prefix, warnings, cluster }) => {
        const name = await topic("a", 4);
        const [one, two, again] = [new Ear(), new Ear(), new Ear()];
        const first = await groups.join(`${prefix}g`, [name], one);
        const second = await (await other({ instanceId: "y" })).join(`${prefix}g`, [name], two);
        await one.until("assigned a/0 a/1");
        expect([first.instanceId, text(second.assigned)]).toEqual(["x", "a/2 a/3"]);
        const [generation, heard] = [second.generationId, two.heard.length];

        // The leader itself comes back, while its former self still runs.
        const restarted = await (await other({ instanceId: "x" })).join(`${prefix}g`, [name], again);
        expect(text(restarted.assigned)).toBe("a/0 a/1");
        await one.until("out");
        expect(one.heard.slice(-2)).toEqual(["lost a/0 a/1", "out"]);
        expect(first.assigned).toEqual([]);
        const failure = warnings.find((line) => line.includes('instance id "x"'));
        expect(failure).toContain("another one joined under its instance id");
        // Nobody heard of a rebalance, and nobody is thrown out again.
        await cluster.pause(1_500);
        expect([restarted.generationId, second.generationId, two.heard.length]).toEqual([generation, generation, heard]);
        expect(again.heard).toEqual(["assigned a/0 a/1"]);
        await first.leave();
        await restarted.leave();
        await two.until("assigned a/0 a/1 a/2 a/3");
        await second.leave();
      }, { sessionTimeoutMs: 3_000, instanceId: "x" }),
  );

  brokerTest("several members of one client in one group are told apart", () =>
    withGroups(async ({ groups, topic, prefix, cluster }) => {
      const name = await topic("a", 3);
      const members = [];
      for (let i = 0; i < 3; i++) members.push(await groups.join(`${prefix}g`, [name], new Ear()));
      expect(members.map(({ instanceId }) => instanceId)).toEqual(["x", "x-2", "x-3"]);
      while (members.some(({ assigned }) => assigned.length !== 1)) await cluster.pause(10);
      expect(members.map(({ assigned }) => text(assigned))).toEqual(["a/0", "a/1", "a/2"]);
      await Promise.all(members.map((member) => member.leave()));
    }, { instanceId: "x" }));

  brokerTest("members that come and go at the same time end with one owner a partition", () =>
    withGroups(async ({ groups, other, topic, prefix }) => {
      const name = await topic("a", 7);
      const owners = new Map<number, string>();
      const doubled: string[] = [];
      const ear = (who: string): AssignmentListener => ({
        assigned(partitions) {
          for (const { partition } of partitions) {
            if (owners.has(partition)) doubled.push(`${partition}: ${owners.get(partition)} and ${who}`);
            owners.set(partition, who);
          }
        },
        revoked(partitions) {
          for (const { partition } of partitions) owners.delete(partition);
        },
        lost: (partitions) => void doubled.push(`${who} lost ${text(partitions)}`),
      });
      const apart = await other();
      const members = await Promise.all(["a", "b", "c", "d"].map((who, i) => (i % 2 === 0 ? groups : apart).join(`${prefix}g`, [name], ear(who))));
      const [fifth] = await Promise.all([groups.join(`${prefix}g`, [name], ear("e")), members[0]!.leave(), members[2]!.leave()]);
      while (owners.size < 7) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(doubled).toEqual([]);
      for (const member of [members[1]!, members[3]!, fifth]) await member.leave();
      expect([doubled, owners.size]).toEqual([[], 0]);
    }));

  brokerTest("partitions that are added later are shared out", () =>
    withGroups(async ({ other, topic, prefix, admin, cluster }) => {
      const name = await topic("a", 2);
      const { runtime } = cluster.settings;
      // The leader looks every 30 s.
      const hurried: Runtime = { ...runtime, setTimer: (fn, delayMs) => runtime.setTimer(fn, delayMs === 30_000 ? 300 : delayMs) };
      const groups = await other({ runtime: hurried });
      const one = new Ear();
      const member = await groups.join(`${prefix}g`, [name, `${prefix}none`], one);
      expect(text(member.assigned)).toBe("a/0 a/1");
      await admin.createPartitions({ topics: [{ name, count: 3 }] });
      await one.until("assigned a/0 a/1 a/2");
      await admin.createTopics({ topics: [`${prefix}none`], partitions: 1, replicas: 1 });
      await one.until("assigned a/0 a/1 a/2 none/0");
      await member.leave();
      expect(one.heard.filter((line) => line.startsWith("lost"))).toEqual([]);
    }, { rebalanceTimeoutMs: 25_000 }));

  brokerTest(
    "a listener that fails in assigned is out, and its share goes to others; one that fails in revoked hands back all the same",
    () =>
      withGroups(async ({ groups, topic, prefix, warnings }) => {
        const name = await topic("a", 2);
        const clumsy = new Ear({ revoked: () => Promise.reject(new Error("oh")) });
        const first = await groups.join(`${prefix}g`, [name], clumsy);
        const failing = new Ear({ assigned: () => Promise.reject(new Error("no")) });
        const failure = await failureOf(groups.join(`${prefix}g`, [name], failing));
        expect(failure).toMatchObject({ code: "HANDLER_FAILED" });
        expect(failing.heard.map((line) => line.split(" ")[0])).toEqual(["assigned", "lost"]);
        await clumsy.until("assigned a/0 a/1", 2);
        expect(text(first.assigned)).toBe("a/0 a/1");
        expect(warnings.join("\n")).toContain("failed in revoked: oh");
        await first.leave();
      }),
  );

  brokerTest(
    "lost connections and a lost coordinator are ridden out within the session",
    () =>
      withGroups(async ({ groups, topic, prefix, cluster, warnings }) => {
        const name = await topic("a", 2);
        const one = new Ear();
        const member = await groups.join(`${prefix}g`, [name], one);
        for (let i = 0; i < 8; i++) {
          cluster.release("control");
          cluster.forgetCoordinator("group", `${prefix}g`);
          await cluster.pause(200);
        }
        expect([one.heard, text(member.assigned)]).toEqual([["assigned a/0 a/1"], "a/0 a/1"]);
        await member.leave();
        expect(warnings).toEqual([]);
      }, { sessionTimeoutMs: 1_200 }),
  );

  brokerTest(
    "what a broker refuses for good is told; a closed client tells nobody anything",
    () =>
      withGroups(async ({ groups, other, topic, prefix, cluster }) => {
        const name = await topic("a", 1);
        const short = await other({ sessionTimeoutMs: 1 });
        expect(await failureOf(short.join(`${prefix}h`, [name], new Ear()))).toMatchObject({ code: "OPTION_INVALID" });
        const ear = new Ear();
        const closing = await other();
        const member = await closing.join(`${prefix}g`, [name], ear);
        const pending = failureOf(closing.join(`${prefix}g`, [name], new Ear()));
        await closing.close();
        expect(await pending).toMatchObject({ code: "LOG_CLOSED" });
        expect(await failureOf(closing.join(`${prefix}g`, [name], new Ear()))).toMatchObject({ code: "LOG_CLOSED" });
        await cluster.pause(300);
        expect([ear.heard, member.assigned]).toEqual([["assigned a/0"], []]);
        // Its session ends by itself.
        const next = new Ear();
        const after = await groups.join(`${prefix}g`, [name], next);
        expect(text(after.assigned)).toBe("a/0");
        await after.leave();
      }, { sessionTimeoutMs: 1_500 }),
  );
});
