/** Cases of the `Log` contract about groups of several members: L7, L8. */
import type { AssignmentListener } from "../../log/log.ts";
import { check, checkEqual } from "./cases.ts";
import type { Case } from "./cases.ts";
import { commitDurably, listener, member, output, refusal, topicSpec, unit, valuesOf } from "./log-subject.ts";
import type { LogSubject } from "./log-subject.ts";

/**
 * Members of one group, and a wait until they own so many partitions together: a log on several machines tells one member of its share before another.
 */
class Shares {
  readonly #owned = new Map<string, number>();
  readonly #waiters: { readonly count: number; readonly resolve: () => void }[] = [];

  /** A listener for a member of this name. */
  listener(name: string, heard: string[] = [], more: Partial<AssignmentListener> = {}): AssignmentListener {
    return listener(name, heard, {
      ...more,
      assigned: async (partitions) => {
        await more.assigned?.(partitions);
        // Told once the call is over, when the membership shows it.
        void Promise.resolve().then(() => this.#set(name, partitions.length));
      },
      revoked: async (partitions) => {
        await more.revoked?.(partitions);
        this.#set(name, 0);
      },
    });
  }

  /** Fulfils once all members own so many together. */
  async whole(count: number): Promise<void> {
    const answer = Promise.withResolvers<void>();
    this.#waiters.push({ count, resolve: answer.resolve });
    this.#tell();
    await answer.promise;
  }

  #set(name: string, count: number): void {
    this.#owned.set(name, count);
    this.#tell();
  }

  #tell(): void {
    const all = [...this.#owned.values()].reduce((sum, count) => sum + count, 0);
    for (const { count, resolve } of this.#waiters) if (count === all) resolve();
  }
}

export const groupCases: readonly Case<LogSubject>[] = [
  {
    name: "L8 join() gives all partitions to a single member, leave() awaits revoked()",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}.in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 2 })]);
      const heard: string[] = [];
      const gate = Promise.withResolvers<void>();

      const membership = await log.join(group, [source], listener("one", heard, { revoked: () => gate.promise }));
      checkEqual([membership.group, membership.assigned.map(({ partition }) => partition).sort()], [group, [0, 1]], "membership");
      let left = false;
      const leaving = membership.leave().then(() => left = true);
      await log.flush();
      await commitDurably(log, unit(membership, { positions: [{ topic: source, partition: 1, position: 4 }] }));
      checkEqual(left, false, "left before revoked() was done");
      gate.resolve();
      await leaving;

      checkEqual(heard, ["one assigned in/0 in/1", "one revoked in/0 in/1"], "calls");
      checkEqual(membership.assigned, [], "assigned after leaving");
      checkEqual((await log.committed(group, [{ topic: source, partition: 1 }]))[0]?.position, 4, "committed while revoked() ran");
    },
  },
  {
    name: "L8 a second member gets nothing before the first one's revoked() is done",
    needs: "rebalances",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}.in`, `${prefix}.out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 4 }), topicSpec(target)]);
      const heard: string[] = [];
      const revoking = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const shares = new Shares();
      const first = await log.join(
        group,
        [source],
        shares.listener("one", heard, {
          revoked() {
            revoking.resolve();
            return gate.promise;
          },
        }),
      );

      const joining = log.join(group, [source], shares.listener("two", heard));
      await revoking.promise;
      await commitDurably(log, unit(first, { positions: [{ topic: source, partition: 3, position: 8 }], outputs: [output(target, 0, "last")] }));
      check(!heard.some((line) => line.startsWith("two assigned in")), `the second member was told before the first was done: ${heard}`);
      gate.resolve();
      const second = await joining;
      await shares.whole(4);

      const own = (at: typeof first): number[] => at.assigned.map(({ partition }) => partition);
      checkEqual([...own(first), ...own(second)].sort(), [0, 1, 2, 3], "partitions of both");
      checkEqual([own(first).length, own(second).length], [2, 2], "even shares");
      checkEqual(await valuesOf(log, target), ["last"], "what was committed while revoked() ran");
      await second.leave();
      await first.leave();
    },
  },
  {
    name: "L8 what a member leaves goes to the others",
    needs: "rebalances",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}.in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 3 })]);
      const gained = Promise.withResolvers<void>();
      const first = await member(log, group, source);
      const second = await log.join(group, [source], listener("two", [], { assigned: (all) => all.length === 3 ? gained.resolve() : undefined }));

      await first.leave();
      await gained.promise;

      checkEqual(second.assigned.length, 3, "partitions of who stayed");
      await commitDurably(log, unit(second, { positions: [0, 1, 2].map((partition) => ({ topic: source, partition, position: 1 })) }));
      await second.leave();
    },
  },
  {
    name: "L8 equal partitions of topics of equal size land together",
    needs: "rebalances",
    async run({ log, prefix }) {
      const [left, right, group] = [`${prefix}.left`, `${prefix}.right`, `${prefix}g`];
      await log.ensureTopics([topicSpec(left, { partitions: 5 }), topicSpec(right, { partitions: 5 })]);

      const shares = new Shares();
      const members = [];
      for (let i = 0; i < 3; i++) members.push(await log.join(group, [left, right], shares.listener(`${i}`)));
      await shares.whole(10);

      for (const { assigned } of members) {
        const of = (topic: string): number[] => assigned.filter((at) => at.topic === topic).map(({ partition }) => partition).sort();
        checkEqual(of(left), of(right), "partitions of both topics");
      }
      checkEqual(members.flatMap(({ assigned }) => assigned).length, 10, "partitions in all");
      for (const each of members) await each.leave();
    },
  },
  {
    name: "L8 members that come and go at the same time end with one owner a partition",
    needs: "rebalances",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}.in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 7 })]);
      const owners = new Map<number, string>();
      let allOwned = Promise.withResolvers<void>();
      const doubled: string[] = [];
      const join = (name: string): ReturnType<typeof log.join> =>
        log.join(group, [source], {
          assigned(partitions) {
            for (const { partition } of partitions) {
              if (owners.has(partition)) doubled.push(`${partition}: ${owners.get(partition)} and ${name}`);
              owners.set(partition, name);
            }
            if (owners.size === 7) allOwned.resolve();
          },
          async revoked(partitions) {
            await log.flush();
            for (const { partition } of partitions) owners.delete(partition);
          },
          lost() {},
        });

      const members = await Promise.all(["a", "b", "c", "d"].map(join));
      const [fifth] = await Promise.all([join("e"), members[0]!.leave(), members[2]!.leave()]);
      allOwned = Promise.withResolvers();
      if (owners.size < 7) await allOwned.promise;

      checkEqual(doubled, [], "partitions with two owners");
      checkEqual([...owners.keys()].sort(), [0, 1, 2, 3, 4, 5, 6], "partitions with an owner");
      for (const each of [members[1]!, members[3]!, fifth]) await each.leave();
    },
  },
  {
    name: "L7 a member that lost a partition to another is refused",
    needs: "rebalances",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}.in`, `${prefix}.out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 2 }), topicSpec(target)]);
      const shares = new Shares();
      const first = await log.join(group, [source], shares.listener("one"));
      const second = await log.join(group, [source], shares.listener("two"));
      await shares.whole(2);
      const moved = second.assigned[0]!;
      const kept = first.assigned[0]!;

      await refusal(
        log,
        "FENCED",
        "a commit of both partitions",
        () => log.commit(unit(first, { positions: [{ ...kept, position: 5 }, { ...moved, position: 5 }], outputs: [output(target, 0, "zombie")] }), () => {}),
      );

      checkEqual(await valuesOf(log, target), [], "outputs");
      checkEqual(await log.committed(group, [kept, moved]), [], "positions");
      await commitDurably(log, unit(first, { positions: [{ ...kept, position: 5 }] }));
      await commitDurably(log, unit(second, { positions: [{ ...moved, position: 6 }] }));
      checkEqual((await log.committed(group, [kept, moved])).map(({ position }) => position), [5, 6], "positions of the owners");
      await second.leave();
      await first.leave();
    },
  },
];
