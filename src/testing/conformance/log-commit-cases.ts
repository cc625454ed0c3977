/** Cases of the `Log` contract about commits and closing: L4, L5, L6, L7, L12. */
import { StoreError } from "../../base/errors.ts";
import type { CommittedPosition, Log } from "../../log/log.ts";
import { check, checkEqual } from "./cases.ts";
import type { Case } from "./cases.ts";
import { commitDurably, member, output, refusal, texts, topicSpec, unit, valuesOf } from "./log-subject.ts";
import type { LogSubject } from "./log-subject.ts";

/** Committed positions as `topic/partition=position`, without the prefix. */
async function committedOf(log: Log, group: string, topic: string, partitions = 1): Promise<string[]> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  return (await log.committed(group, all)).map(({ partition, position }) => `${partition}=${position}`);
}

export const commitCases: readonly Case<LogSubject>[] = [
  {
    name: "L4 commit() makes outputs and positions true together",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}in`, `${prefix}out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 2 }), topicSpec(target, { partitions: 2 })]);
      const membership = await member(log, group, source);

      await commitDurably(
        log,
        unit(membership, {
          positions: [{ topic: source, partition: 0, position: 7 }, { topic: source, partition: 1, position: 3 }],
          outputs: [output(target, 0, "a", "b"), output(target, 1, "c")],
        }),
      );

      checkEqual([await valuesOf(log, target, 0), await valuesOf(log, target, 1)], [["a", "b"], ["c"]], "outputs");
      checkEqual(await committedOf(log, group, source, 2), ["0=7", "1=3"], "positions");
    },
  },
  {
    name: "L4 a commit outlives the process",
    needs: "durable",
    async run(subject) {
      const { log, prefix } = subject;
      const [source, target, group] = [`${prefix}in`, `${prefix}out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(target)]);
      const membership = await member(log, group, source);
      const receipt = await log.commit(
        unit(membership, { positions: [{ topic: source, partition: 0, position: 7 }], outputs: [output(target, 0, "a")] }),
        () => {},
      );
      await receipt.durable;

      const next = await subject.reopen();

      checkEqual(await valuesOf(next, target), ["a"], "outputs");
      checkEqual(await committedOf(next, group, source), ["0=7"], "positions");
    },
  },
  {
    name: "L4 a throw from apply() undoes outputs, positions and state",
    needs: "holdsState",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}in`, `${prefix}out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(target)]);
      const membership = await member(log, group, source);
      const database = log.database!;
      database.exec("CREATE TABLE conformance_l4 (n INTEGER)");
      const commit = (value: string, position: number, apply: () => void): unknown =>
        log.commit(unit(membership, { positions: [{ topic: source, partition: 0, position }], outputs: [output(target, 0, value)] }), () => {
          database.exec(`INSERT INTO conformance_l4 VALUES (${position})`);
          apply();
        });
      await commit("a", 1, () => {});
      const before = await log.describe([source, target]);

      const failed = await refusal(log, "LOG_COMMIT_FAILED", "a foreign error", () =>
        commit("b", 2, () => {
          throw new RangeError("no");
        }));
      const full = new StoreError("STORE_FULL", `[${log.name}] full`);
      const same = await refusal(log, "STORE_FULL", "an error of Millrace", () =>
        commit("c", 3, () => {
          throw full;
        }));

      check(failed.cause instanceof RangeError, "the cause is what apply threw");
      check(same === full, "an error of Millrace comes through as it is");
      checkEqual(await log.describe([source, target]), before, "ends of partitions");
      checkEqual(await committedOf(log, group, source), ["0=1"], "positions");
      await commit("d", 4, () => {});
      checkEqual(await valuesOf(log, target), ["a", "d"], "outputs");
      const rows: number[] = [];
      const select = database.prepare("SELECT n FROM conformance_l4 ORDER BY n");
      while (select.step()) rows.push(select.number(0));
      select.finalize();
      checkEqual(rows, [1, 4], "state");
    },
  },
  {
    name: "L4 a commit to a topic that does not exist leaves nothing behind",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}in`, `${prefix}out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(target)]);
      const membership = await member(log, group, source);
      let applied = 0;

      await refusal(log, "LOG_TOPIC_UNKNOWN", "an unknown output", () =>
        log.commit(
          unit(membership, { positions: [{ topic: source, partition: 0, position: 1 }], outputs: [output(target, 0, "a"), output(`${prefix}no`, 0, "b")] }),
          () => applied++,
        ));

      checkEqual([applied, await valuesOf(log, target), await committedOf(log, group, source)], [0, [], []], "apply, outputs and positions");
    },
  },
  {
    name: "L5 apply() is called once, inside of the transaction",
    needs: "holdsState",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source)]);
      const membership = await member(log, group, source);
      const calls: unknown[] = [];

      await commitDurably(log, unit(membership), (changelog) => calls.push([changelog, log.database!.inTransaction]));

      checkEqual(calls, [[[], true]], "calls");
      checkEqual(log.database!.inTransaction, false, "transaction open after the commit");
    },
  },
  {
    name: "L5 apply() hears the positions after the last changelog records",
    async run({ log, prefix }) {
      const [source, changelog, group] = [`${prefix}in`, `${prefix}changelog`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(changelog, { partitions: 2, internal: true })]);
      const membership = await member(log, group, source);
      const heard: (readonly CommittedPosition[])[] = [];
      const commit = (...values: string[]): Promise<void> =>
        commitDurably(log, unit(membership, { changelog: [output(changelog, 1, ...values)] }), (positions) => heard.push(positions));

      await commit("a", "b");
      await commit("c");

      checkEqual(heard.length, 2, "calls of apply");
      checkEqual(await valuesOf(log, changelog, 1), ["a", "b", "c"], "changelog");
      for (const [index, value] of [[0, []], [0, ["c"]]] as const) {
        const [at] = heard[value.length === 0 ? 1 : 0]!;
        checkEqual([at!.topic, at!.partition, heard[index]!.length], [changelog, 1, 1], "where the changelog lies");
        checkEqual(await valuesOf(log, changelog, 1, at!.position), value, "what comes after the position");
      }
    },
  },
  {
    name: "L6 committed() gives what the last commit of the group said, and nothing for others",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source, { partitions: 3 })]);
      const membership = await member(log, group, source);
      const at = (partition: number, position: number): CommittedPosition => ({ topic: source, partition, position });
      checkEqual(await committedOf(log, group, source, 3), [], "before the first commit");

      await commitDurably(log, unit(membership, { positions: [at(0, 5), at(1, 1)] }));
      await commitDurably(log, unit(membership, { positions: [at(0, 9)] }));
      await commitDurably(log, unit(membership, { positions: [at(1, 0)] }));

      checkEqual(await committedOf(log, group, source, 3), ["0=9", "1=0"], "positions");
      checkEqual(await committedOf(log, `${prefix}other`, source, 3), [], "positions of another group");
    },
  },
  {
    name: "L6 a group goes on where it was when it comes back",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}in`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source)]);
      const first = await member(log, group, source);
      await commitDurably(log, unit(first, { positions: [{ topic: source, partition: 0, position: 5 }] }));
      await first.leave();

      const second = await member(log, group, source);

      checkEqual(await committedOf(log, group, source), ["0=5"], "positions");
      await commitDurably(log, unit(second, { positions: [{ topic: source, partition: 0, position: 6 }] }));
      checkEqual(await committedOf(log, group, source), ["0=6"], "positions of the second member");
    },
  },
  {
    name: "L7 a member that left is refused as a whole",
    async run({ log, prefix }) {
      const [source, target, group] = [`${prefix}in`, `${prefix}out`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(target)]);
      const old = await member(log, group, source);
      await old.leave();
      const fresh = await member(log, group, source);
      let applied = 0;

      await refusal(
        log,
        "FENCED",
        "a commit by who left",
        () => log.commit(unit(old, { positions: [{ topic: source, partition: 0, position: 9 }], outputs: [output(target, 0, "old")] }), () => applied++),
      );
      await refusal(
        log,
        "FENCED",
        "a commit without positions by who left",
        () => log.commit(unit(old, { outputs: [output(target, 0, "old")] }), () => applied++),
      );

      checkEqual([applied, await valuesOf(log, target), await committedOf(log, group, source)], [0, [], []], "apply, outputs and positions");
      await commitDurably(log, unit(fresh, { positions: [{ topic: source, partition: 0, position: 2 }] }));
      checkEqual(await committedOf(log, group, source), ["0=2"], "positions of the new owner");
    },
  },
  {
    name: "L7 positions of a partition that the member does not own are refused",
    async run({ log, prefix }) {
      const [source, other, group] = [`${prefix}in`, `${prefix}other`, `${prefix}g`];
      await log.ensureTopics([topicSpec(source), topicSpec(other)]);
      const membership = await member(log, group, source);

      await refusal(log, "FENCED", "a foreign partition", () =>
        log.commit(
          unit(membership, { positions: [{ topic: source, partition: 0, position: 1 }, { topic: other, partition: 0, position: 1 }] }),
          () => {},
        ));

      checkEqual([await committedOf(log, group, source), await committedOf(log, group, other)], [[], []], "positions");
    },
  },
  {
    name: "L12 after close() every call is LOG_CLOSED",
    async run({ log, prefix }) {
      const [source, group] = [`${prefix}in`, `${prefix}g`];
      const at = { topic: source, partition: 0 };
      await log.ensureTopics([topicSpec(source)]);
      const membership = await member(log, group, source);
      const reader = log.reader(at, 0, () => {});

      await log.close();
      await log.close();

      const calls: readonly [string, () => unknown][] = [
        ["ensureTopics", () => log.ensureTopics([topicSpec(source)])],
        ["partitionsOf", () => log.partitionsOf(source)],
        ["describe", () => log.describe([source])],
        ["positionAt", () => log.positionAt(at, 0)],
        ["append", () => log.append([{ ...at, records: texts("a") }])],
        ["join", () => log.join(group, [source], { assigned() {}, revoked() {}, lost() {} })],
        ["committed", () => log.committed(group, [at])],
        ["reader", () => log.reader(at, 0, () => {})],
        ["take", () => reader.take(1_000)],
        ["commit", () => log.commit(unit(membership), () => {})],
        ["flush", () => log.flush()],
      ];
      for (const [name, call] of calls) await refusal(log, "LOG_CLOSED", name, call);
      await membership.leave();
    },
  },
  {
    name: "L12 close() waits for appends under way",
    async run({ log, prefix }) {
      const topic = `${prefix}a`;
      await log.ensureTopics([topicSpec(topic)]);
      let settled = 0;
      const appends = Array.from({ length: 8 }, () => log.append([{ topic, partition: 0, records: texts("a") }]).then(() => settled++));

      await log.close();

      checkEqual(settled, 8, "appends that were answered when close() was done");
      await Promise.all(appends);
    },
  },
];
