/** Appends, transactions, topics and positions of the pure client on a real broker; a proxy loses requests and answers where that is what is tested. */
import { describe, expect, test } from "bun:test";
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { OutputBatch, PartitionInfo } from "../../src/log/log.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import type { ClientSettings, Compression, KafkaClient } from "../../adapters/kafka/client.ts";
import { openFetcher } from "../../adapters/kafka/pure/fetcher.ts";
import type { PureMember } from "../../adapters/kafka/pure/member.ts";
import { openPureClient } from "../../adapters/kafka/pure/pure-client.ts";
import { isStreamError } from "../../src/base/errors.ts";
import { brokerTest, ownBroker, testBroker } from "./broker.ts";
import { api, first, openProxy } from "./faulty-proxy.ts";
import type { FaultyProxy } from "./faulty-proxy.ts";
import { testSettings } from "./kafka-clients.ts";
import { Follower, withCluster } from "./pure-subject.ts";
import { spawnProgram } from "../shim/spawn.ts";

interface WriteSubject {
  readonly client: KafkaClient;
  readonly prefix: string;
  /** A client as another process would have it, with the same transactional id. */
  open(more?: Partial<ClientSettings>): Promise<KafkaClient>;
  /** Makes a topic; gives its name. */
  topic(name: string, partitions?: number): Promise<string>;
  /** What a reader of committed records sees, once it has seen all up to the high watermark. */
  values(topic: string, partition?: number): Promise<readonly (string | null)[]>;
  readonly proxy: FaultyProxy;
  /** Settings of a client behind the proxy, that gives up soon. */
  readonly disturbed: Partial<ClientSettings>;
}

async function withClient(body: (subject: WriteSubject) => Promise<void>, more: Partial<ClientSettings> = {}): Promise<void> {
  await withCluster(async (subject) => {
    const { settings } = subject.cluster;
    const proxy = await openProxy(settings.brokers[0]!);
    const clients: KafkaClient[] = [];
    const open = async (change: Partial<ClientSettings> = {}): Promise<KafkaClient> => {
      const client = await openPureClient({ ...settings, ...change });
      clients.push(client);
      return client;
    };
    const fetcher = openFetcher(subject.cluster);
    try {
      const client = await open();
      await body({
        client,
        prefix: subject.prefix,
        open,
        async topic(name, partitions = 1) {
          await client.createTopics([{ name: `${subject.prefix}${name}`, partitions, replicationFactor: 1, configs: { "retention.ms": "-1" } }]);
          return `${subject.prefix}${name}`;
        },
        async values(topic, partition = 0) {
          const [info] = await client.offsets([{ topic, partition }]);
          const follower = new Follower((onArrival) => fetcher.reader({ topic, partition }, 0, onArrival));
          await follower.toEnd(info!.end);
          follower.reader.close();
          return follower.values;
        },
        proxy,
        disturbed: { brokers: [proxy.bootstrap], timeoutMs: 3_000, transactionalId: `${subject.prefix}disturbed` },
      });
    } finally {
      for (const client of clients.reverse()) await client.close();
      await fetcher.close();
      await proxy.close();
    }
  }, more);
}

function batch(topic: string, values: readonly string[], partition = 0): OutputBatch {
  const encoder = new BatchEncoder();
  for (const value of values) encoder.append(1_700_000_000_000, "k", value, null);
  return { topic, partition, encoder };
}

/** A member as a group without members takes it. */
function nobody(group: string): PureMember {
  return { group, memberId: "", generationId: -1, instanceId: null, assigned: [], trouble: null, leave: () => Promise.resolve() };
}

const numbered = (from: number, to: number, prefix = "v"): string[] => Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`);

async function failure(of: Promise<unknown>): Promise<unknown> {
  try {
    await of;
  } catch (error) {
    if (!isStreamError(error)) return error;
    return [error.code, error.message.startsWith("[kafka] "), error.details["outcome"] ?? null];
  }
  return "no failure";
}

const info = (at: TopicPartition, start: number, end: number): PartitionInfo => ({ ...at, start, end });

describe("pure client: topics", () => {
  brokerTest("topics are made once, with their settings, and described", () =>
    withClient(async ({ client, prefix }) => {
      const [a, b, none] = [`${prefix}a`, `${prefix}b`, `${prefix}none`];
      const make = { partitions: 3, replicationFactor: -1, configs: { "cleanup.policy": "compact", "retention.ms": "123456" } };
      await client.createTopics([{ ...make, name: a }]);
      await client.createTopics([{ ...make, name: a, partitions: 5 }, { ...make, name: b, partitions: 1, configs: {} }]);
      expect(await client.topics([a, none, b])).toEqual([{ name: a, partitions: 3 }, { name: b, partitions: 1 }]);
      const all = await client.topics(null);
      expect(all.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => name).sort()).toEqual([a, b]);
      expect(all.some(({ name }) => name.startsWith("__"))).toBe(false);
      const configs = await client.topicConfigs([a, none, b], ["cleanup.policy", "retention.ms"]);
      expect(configs.get(a)).toEqual({ "cleanup.policy": "compact", "retention.ms": "123456" });
      expect(configs.get(b)?.["cleanup.policy"]).toBe("delete");
      expect([...configs.keys()].sort()).toEqual([a, b]);
      expect(await failure(client.createTopics([{ ...make, name: none, configs: { "cleanup.policy": "nonsense" } }]))).toEqual(["OPTION_INVALID", true, null]);
    }));

  brokerTest(
    "offsets tell what is kept, records of an open transaction included; deleteRecords cuts the beginning",
    () =>
      withClient(async ({ client, open, topic, proxy, disturbed }) => {
        const name = await topic("a", 2);
        const [left, right] = [{ topic: name, partition: 0 }, { topic: name, partition: 1 }];
        await client.produce([batch(name, numbered(0, 9))]);
        const writer = await open(disturbed);
        proxy.request = first(1_000, api.endTxn, "lose");
        const open_ = failure(writer.transact({ member: nobody(name), positions: [], batches: [batch(name, ["a", "b"], 1)] }));
        await proxy.reached(api.endTxn, 1);
        expect(await client.offsets([right, left])).toEqual([info(right, 0, 2), info(left, 0, 9)]);
        await client.deleteRecords([{ ...left, position: 4 }]);
        expect(await client.offsets([left])).toEqual([info(left, 4, 9)]);
        expect(await failure(client.deleteRecords([{ ...left, position: 99 }]))).toEqual(["LOG_POSITION_OUT_OF_RANGE", true, null]);
        expect(await failure(client.offsets([{ topic: name, partition: 7 }]))).toEqual(["LOG_TOPIC_UNKNOWN", true, null]);
        await open_;
      }),
  );
});

describe("pure client: appends", () => {
  brokerTest("L3 parallel appends lie together, in order, where their answers say", () =>
    withClient(async ({ client, topic, values }) => {
      const name = await topic("a", 2);
      const appends = Array.from({ length: 40 }, (_, i) => numbered(i * 5, i * 5 + 5));
      const answers = await Promise.all(appends.map((some, i) => client.produce([batch(name, some, i % 2)])));
      expect(answers.map(([position]) => position)).toEqual(appends.map((_, i) => Math.floor(i / 2) * 5));
      expect(await values(name, 0)).toEqual(appends.filter((_, i) => i % 2 === 0).flat());
      expect(await values(name, 1)).toEqual(appends.filter((_, i) => i % 2 === 1).flat());
    }));

  brokerTest("an encoder of several batches is written in order", () =>
    withClient(async ({ client, topic, values }) => {
      const name = await topic("a");
      const large = numbered(0, 2_000, "x".repeat(300));
      expect(await client.produce([batch(name, ["first"]), batch(name, large), batch(name, ["last"])])).toEqual([0, 1, 2_001]);
      expect(await values(name)).toEqual(["first", ...large, "last"]);
    }));

  brokerTest(
    "each batch fails by itself: a record too large, a topic and a partition that are missing",
    () =>
      withClient(async ({ client, topic, prefix, values }) => {
        const name = await topic("a");
        const bad = [batch(name, ["y".repeat(1_200_000)]), batch(`${prefix}none`, ["a"]), batch(name, ["a"], 4)];
        const answers = await client.produce([batch(name, ["one"]), ...bad, batch(name, ["two"]), batch(name, [])]);
        expect(answers.map((answer) => answer instanceof Error && isStreamError(answer) ? answer.code : answer))
          .toEqual([0, "RECORD_TOO_LARGE", "LOG_TOPIC_UNKNOWN", "LOG_TOPIC_UNKNOWN", 1, 0]);
        expect(await client.produce([batch(name, ["three"])])).toEqual([2]);
        expect(await values(name)).toEqual(["one", "two", "three"]);
      }),
  );

  brokerTest("F04 an append whose answer is lost is sent again and is in once", () =>
    withClient(async ({ open, topic, values, proxy, disturbed }) => {
      const name = await topic("a");
      const client = await open(disturbed);
      await client.produce([batch(name, ["before"])]);
      proxy.answer = first(1, api.produce, "cut");
      expect(await client.produce([batch(name, numbered(0, 3)), batch(name, numbered(3, 6))])).toEqual([1, 4]);
      proxy.answer = first(1, api.produce, "lose");
      expect(await client.produce([batch(name, ["late"])])).toEqual([7]);
      proxy.request = first(1, api.produce, "cut");
      expect(await client.produce([batch(name, ["again"])])).toEqual([8]);
      expect(await values(name)).toEqual(["before", ...numbered(0, 6), "late", "again"]);
    }));

  brokerTest("F04 after an append of unknown end the next ones are in once, in order", () =>
    withClient(async ({ open, topic, values, proxy, disturbed }) => {
      const name = await topic("a", 2);
      const client = await open({ ...disturbed, timeoutMs: 1_500 });
      await client.produce([batch(name, ["before"]), batch(name, ["before"], 1)]);
      proxy.answer = first(1_000, api.produce, "cut");
      const [answer] = await client.produce([batch(name, ["unknown"])]);
      expect(isStreamError(answer) && answer.code).toBe("LOG_UNAVAILABLE");
      proxy.answer = () => "pass";
      expect(await client.produce([batch(name, ["next"]), batch(name, ["next"], 1)])).toEqual([2, 1]);
      expect(await values(name)).toEqual(["before", "unknown", "next"]);
      expect(await values(name, 1)).toEqual(["before", "next"]);
    }));

  brokerTest("flush() resolves once appends under way are answered", () =>
    withClient(async ({ client, topic, values }) => {
      const name = await topic("a");
      let answered = 0;
      for (let i = 0; i < 5; i++) void client.produce([batch(name, [`v${i}`])]).then(() => answered++);
      await client.flush();
      expect(answered).toBe(5);
      expect(await values(name)).toEqual(numbered(0, 5));
    }));
});

describe("pure client: transactions", () => {
  brokerTest(
    "L4 outputs and positions become true together, in many partitions, and a fresh client reads the positions at once",
    () =>
      withClient(async ({ client, open, topic, values, prefix }) => {
        const names = [await topic("a", 20), await topic("b", 20)];
        const batches = names.flatMap((name) => Array.from({ length: 20 }, (_, partition) => batch(name, numbered(0, partition + 1), partition)));
        const positions = names.flatMap((name) => Array.from({ length: 20 }, (_, partition) => ({ topic: name, partition, position: partition * 10 })));
        const group = `${prefix}group`;
        const ends = await client.transact({ member: nobody(group), positions, batches });
        expect(ends).toEqual(batches.map(({ partition }) => partition + 1));
        const other = await open({ transactionalId: `${prefix}other` });
        expect(await other.committed(group, positions)).toEqual(positions);
        expect(await client.committed(group, positions)).toEqual(positions);
        expect(await values(names[1]!, 19)).toEqual(numbered(0, 20));
        const next = await client.transact({
          member: nobody(group),
          positions: positions.slice(3, 4).map((at) => ({ ...at, position: 77 })),
          batches: batches.slice(38),
        });
        // One marker lies between.
        expect(next).toEqual([19 + 1 + 19, 20 + 1 + 20]);
        expect(await other.committed(group, positions.slice(3, 4))).toEqual([{ ...positions[3]!, position: 77 }]);
      }),
  );

  brokerTest(
    "2,000 records of several batches, two encoders for one partition, and an empty one, in one transaction",
    () =>
      withClient(async ({ client, topic, values, prefix }) => {
        const name = await topic("a", 2);
        const large = numbered(0, 2_000, "x".repeat(300));
        const batches = [batch(name, large), batch(name, []), batch(name, ["tail"]), batch(name, ["other"], 1)];
        expect(await client.transact({ member: nobody(`${prefix}g`), positions: [], batches })).toEqual([2_000, 0, 2_001, 1]);
        expect(await values(name)).toEqual([...large, "tail"]);
        expect(await client.transact({ member: nobody(`${prefix}g`), positions: [], batches: [] })).toEqual([]);
      }),
  );

  brokerTest("F02 positions alone; and none where nothing was committed", () =>
    withClient(async ({ client, topic, prefix }) => {
      const [name, group] = [await topic("a", 2), `${prefix}g`];
      const at = { topic: name, partition: 0, position: 5 };
      expect(await client.transact({ member: nobody(group), positions: [at], batches: [] })).toEqual([]);
      await client.commitPositions(nobody(group), [{ ...at, partition: 1, position: 6 }]);
      expect(await client.committed(group, [{ topic: name, partition: 0 }, { topic: name, partition: 1 }])).toEqual([at, { ...at, partition: 1, position: 6 }]);
      expect(await client.committed(`${group}2`, [at])).toEqual([]);
      expect(await client.committed(group, [])).toEqual([]);
    }));

  brokerTest(
    "L4 a transaction that fails leaves nothing behind, says why, and the next one is as good as new",
    () =>
      withClient(async ({ client, topic, values, prefix }) => {
        const [name, group] = [await topic("a", 2), `${prefix}g`];
        const member = nobody(group);
        const at = { topic: name, partition: 0 };
        await client.transact({ member, positions: [{ ...at, position: 1 }], batches: [batch(name, ["one"])] });
        const fail = (bad: OutputBatch): Promise<unknown> =>
          failure(client.transact({ member, positions: [{ ...at, position: 9 }], batches: [batch(name, ["lost"]), bad] }));
        expect(await fail(batch(name, ["y".repeat(1_200_000)], 1))).toEqual(["RECORD_TOO_LARGE", true, null]);
        expect(await client.committed(group, [at])).toEqual([{ ...at, position: 1 }]);
        expect(await fail(batch(`${prefix}none`, ["a"]))).toEqual(["LOG_TOPIC_UNKNOWN", true, null]);
        expect(await fail(batch(name, ["a"], 5))).toEqual(["LOG_TOPIC_UNKNOWN", true, null]);
        expect(await client.committed(group, [at])).toEqual([{ ...at, position: 1 }]);
        await client.transact({ member, positions: [{ ...at, position: 2 }], batches: [batch(name, ["two"])] });
        expect(await client.committed(group, [at])).toEqual([{ ...at, position: 2 }]);
        expect(await values(name)).toEqual(["one", "two"]);
      }),
  );

  brokerTest(
    "L7 a commit for a member that the group does not know is fenced, with all that belongs to it",
    () =>
      withClient(async ({ client, topic, values, prefix }) => {
        const [name, group] = [await topic("a"), `${prefix}g`];
        const at = { topic: name, partition: 0, position: 3 };
        const stranger = { ...nobody(group), memberId: "nobody-knows", generationId: 4 };
        expect(await failure(client.transact({ member: stranger, positions: [at], batches: [batch(name, ["lost"])] }))).toEqual(["FENCED", true, null]);
        expect(await failure(client.commitPositions(stranger, [at]))).toEqual(["FENCED", true, null]);
        await client.transact({ member: nobody(group), positions: [], batches: [batch(name, ["kept"])] });
        expect(await client.committed(group, [at])).toEqual([]);
        expect(await values(name)).toEqual(["kept"]);
      }),
  );

  brokerTest(
    "F06 a commit for an older generation of the group is fenced, one for the generation of now is in",
    () =>
      withClient(async ({ client, open, topic, values, prefix }) => {
        const [name, group] = [await topic("a", 2), `${prefix}g`];
        const at = { topic: name, partition: 0 };
        const listener = { assigned: () => undefined, revoked: () => undefined, lost: () => undefined };
        const member = await client.join(group, [name], listener) as PureMember;
        const zombie: PureMember = { ...nobody(group), memberId: member.memberId, generationId: member.generationId, instanceId: member.instanceId };
        await client.transact({ member: zombie, positions: [{ ...at, position: 1 }], batches: [batch(name, ["one"])] });
        const other = await open({ transactionalId: `${prefix}other` });
        await other.join(group, [name], listener);
        const commit = { member: zombie, positions: [{ ...at, position: 9 }], batches: [batch(name, ["zombie"])] };
        expect(await failure(client.transact(commit))).toEqual(["FENCED", true, null]);
        expect(await failure(client.commitPositions(zombie, commit.positions))).toEqual(["FENCED", true, null]);
        await client.transact({ member, positions: [{ ...at, position: 2 }], batches: [batch(name, ["two"])] });
        expect(await other.committed(group, [at])).toEqual([{ ...at, position: 2 }]);
        await client.commitPositions(member, [{ ...at, position: 3 }]);
        expect(await other.committed(group, [at])).toEqual([{ ...at, position: 3 }]);
        expect(await values(name)).toEqual(["one", "two"]);
      }),
  );

  brokerTest(
    "F07 a transaction that takes longer than its time-out is ended by the coordinator: fenced, nothing of it is in, and the next one works",
    async () => {
      const broker = await ownBroker({ config: { "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200" } });
      const proxy = await openProxy(broker.bootstrap);
      const client = await openPureClient(await testSettings(proxy.bootstrap, "worker", { transactionTimeoutMs: 1_000, timeoutMs: 9_000 }));
      try {
        const at = { topic: "a", partition: 0 };
        await client.createTopics([{ name: "a", partitions: 1, replicationFactor: 1, configs: { "retention.ms": "-1" } }]);
        await client.transact({ member: nobody("g"), positions: [{ ...at, position: 1 }], batches: [batch("a", ["one"])] });
        // Asked again after three seconds, when the coordinator has ended the transaction.
        proxy.request = first(1, api.endTxn, "lose");
        expect(await failure(client.transact({ member: nobody("g"), positions: [{ ...at, position: 9 }], batches: [batch("a", ["late"])] })))
          .toEqual(["FENCED", true, "unknown"]);
        expect(await client.committed("g", [at])).toEqual([{ ...at, position: 1 }]);
        expect(await client.transact({ member: nobody("g"), positions: [{ ...at, position: 2 }], batches: [batch("a", ["two"])] })).toEqual([5]);
        const follower = new Follower((onArrival) => client.reader(at, 0, onArrival));
        await follower.toEnd(5);
        expect(follower.values).toEqual(["one", "two"]);
      } finally {
        await client.close();
        await proxy.close();
        await broker.remove();
      }
    },
  );

  brokerTest(
    "F02 a successor under the same transactional id fences its predecessor, whose open transaction is never seen",
    () =>
      withClient(async ({ open, topic, values, proxy, disturbed, prefix }) => {
        const [name, group] = [await topic("a"), `${prefix}g`];
        const member = nobody(group);
        const at = { topic: name, partition: 0 };
        const old = await open({ ...disturbed, timeoutMs: 6_000 });
        await old.transact({ member, positions: [{ ...at, position: 1 }], batches: [batch(name, ["one"])] });
        proxy.request = first(1, api.endTxn, "lose");
        const left = failure(old.transact({ member, positions: [{ ...at, position: 2 }], batches: [batch(name, ["zombie"])] }));
        await proxy.reached(api.endTxn, 2);
        const young = await open({ transactionalId: disturbed.transactionalId! });
        expect(await young.committed(group, [at])).toEqual([{ ...at, position: 1 }]);
        await young.transact({ member, positions: [{ ...at, position: 2 }], batches: [batch(name, ["two"])] });
        expect(await left).toEqual(["FENCED", true, "unknown"]);
        expect(await young.committed(group, [at])).toEqual([{ ...at, position: 2 }]);
        expect(await values(name)).toEqual(["one", "two"]);
      }),
  );

  for (const [fate, told] of [["cut", "lost with its connection"], ["lose", "never given"]] as const) {
    brokerTest(
      `F03 a commit whose answer is ${told} is asked for again: committed once`,
      () =>
        withClient(async ({ open, topic, values, proxy, disturbed, prefix }) => {
          const [name, group] = [await topic("a"), `${prefix}g`];
          const at = { topic: name, partition: 0 };
          const client = await open(disturbed);
          proxy.answer = first(1, api.endTxn, fate);
          expect(await client.transact({ member: nobody(group), positions: [{ ...at, position: 3 }], batches: [batch(name, ["a", "b"])] })).toEqual([2]);
          expect(proxy.count(api.endTxn)).toBeGreaterThan(1);
          expect(await client.committed(group, [at])).toEqual([{ ...at, position: 3 }]);
          await client.transact({ member: nobody(group), positions: [], batches: [batch(name, ["c"])] });
          expect(await values(name)).toEqual(["a", "b", "c"]);
        }),
    );
  }

  brokerTest(
    "F03 the end of a commit whose answers are all lost is unknown, and read back: it had happened",
    () =>
      withClient(async ({ open, topic, values, proxy, disturbed, prefix }) => {
        const [name, group] = [await topic("a"), `${prefix}g`];
        const at = { topic: name, partition: 0 };
        const client = await open({ ...disturbed, timeoutMs: 1_500 });
        proxy.answer = first(1_000, api.endTxn, "cut");
        expect(await failure(client.transact({ member: nobody(group), positions: [{ ...at, position: 3 }], batches: [batch(name, ["a"])] })))
          .toEqual(["LOG_COMMIT_FAILED", true, "unknown"]);
        expect(await client.committed(group, [at])).toEqual([{ ...at, position: 3 }]);
        proxy.answer = () => "pass";
        await client.transact({ member: nobody(group), positions: [], batches: [batch(name, ["b"])] });
        expect(await values(name)).toEqual(["a", "b"]);
      }),
  );

  brokerTest(
    "F05 the end of a commit that never arrived is unknown, and read back: it had not, and nothing of it is ever seen",
    () =>
      withClient(async ({ open, topic, values, proxy, disturbed, prefix }) => {
        const [name, group] = [await topic("a"), `${prefix}g`];
        const at = { topic: name, partition: 0 };
        const client = await open({ ...disturbed, timeoutMs: 1_500 });
        await client.transact({ member: nobody(group), positions: [{ ...at, position: 1 }], batches: [batch(name, ["a"])] });
        proxy.request = first(1_000, api.endTxn, "lose");
        const lost = client.transact({ member: nobody(group), positions: [{ ...at, position: 9 }], batches: [batch(name, ["lost"])] });
        // Waits for its turn, and begins by ending the one before.
        const next = client.transact({ member: nobody(group), positions: [{ ...at, position: 2 }], batches: [batch(name, ["b"])] });
        expect(await failure(lost)).toEqual(["LOG_COMMIT_FAILED", true, "unknown"]);
        proxy.request = () => "pass";
        expect(await next).toEqual([5]);
        expect(await client.committed(group, [at])).toEqual([{ ...at, position: 2 }]);
        expect(await values(name)).toEqual(["a", "b"]);
      }),
  );

  brokerTest(
    "F05 committed() waits for a commit under way, and ends what is in doubt before it answers",
    () =>
      withClient(async ({ open, topic, proxy, disturbed, prefix }) => {
        const [name, group] = [await topic("a"), `${prefix}g`];
        const at = { topic: name, partition: 0 };
        const client = await open({ ...disturbed, timeoutMs: 1_500 });
        proxy.request = first(1_000, api.endTxn, "lose");
        const lost = failure(client.transact({ member: nobody(group), positions: [{ ...at, position: 9 }], batches: [batch(name, ["lost"])] }));
        const committed = client.committed(group, [at]);
        expect(await lost).toEqual(["LOG_COMMIT_FAILED", true, "unknown"]);
        expect(await committed).toEqual([]);
        expect(proxy.count(api.initProducerId)).toBeGreaterThan(1);
      }),
  );

  const requests = [["AddPartitionsToTxn", api.addPartitionsToTxn], ["Produce", api.produce], ["AddOffsetsToTxn", api.addOffsetsToTxn], [
    "TxnOffsetCommit",
    api.txnOffsetCommit,
  ]] as const;
  for (const [request, key] of requests) {
    brokerTest(
      `F04 a lost answer to ${request} changes nothing: all is in once`,
      () =>
        withClient(async ({ open, topic, values, proxy, disturbed, prefix }) => {
          const [name, group] = [await topic("a", 2), `${prefix}g`];
          const at = { topic: name, partition: 0 };
          const client = await open(disturbed);
          for (let i = 0; i < 4; i++) {
            proxy[i % 2 === 0 ? "answer" : "request"] = first(1, key, i < 2 ? "cut" : "lose");
            const some = numbered(i * 10, i * 10 + 10);
            await client.transact({ member: nobody(group), positions: [{ ...at, position: i }], batches: [batch(name, some), batch(name, some, 1)] });
            expect(await client.committed(group, [at])).toEqual([{ ...at, position: i }]);
          }
          expect(await values(name)).toEqual(numbered(0, 40));
          expect(await values(name, 1)).toEqual(numbered(0, 40));
        }),
    );
  }

  for (const compression of ["gzip", "snappy", "lz4", "zstd"] satisfies Compression[]) {
    brokerTest(`${compression}: appends and transactions are read back as they were written`, () =>
      withClient(async ({ client, topic, values, prefix }) => {
        const name = await topic("a");
        const large = numbered(0, 1_500, "z".repeat(300));
        expect(await client.produce([batch(name, ["one", "two"])])).toEqual([0]);
        expect(await client.transact({ member: nobody(`${prefix}g`), positions: [], batches: [batch(name, large)] })).toEqual([1_502]);
        expect(await values(name)).toEqual(["one", "two", ...large]);
      }, { compression }));
  }
});

describe("pure client: closing", () => {
  brokerTest("L12 after close() every call is LOG_CLOSED, those under way too", () =>
    withClient(async ({ open, topic, proxy, disturbed, prefix }) => {
      const name = await topic("a");
      const client = await open(disturbed);
      proxy.answer = (key) => key === api.produce || key === api.endTxn ? "lose" : "pass";
      const [produced, committed] = [
        client.produce([batch(name, ["a"])]),
        failure(client.transact({ member: nobody(prefix), positions: [], batches: [batch(name, ["b"])] })),
      ];
      await proxy.reached(api.produce, 2);
      await client.close();
      const [answer] = await produced;
      expect(isStreamError(answer) && answer.code).toBe("LOG_CLOSED");
      expect(await committed).toEqual(["LOG_CLOSED", true, null]);
      const calls = [() => client.topics([name]), () =>
        client.offsets([{ topic: name, partition: 0 }]), () =>
        client.committed(prefix, [{ topic: name, partition: 0 }])];
      for (const call of calls) {
        expect(await failure(call())).toEqual(["LOG_CLOSED", true, null]);
      }
      await client.close();
    }));

  brokerTest("close() leaves nothing behind that keeps a process alive", async () => {
    const { bootstrap, prefix } = await testBroker();
    const program = spawnProgram("self", new URL("./close-fixture.ts", import.meta.url), [bootstrap, prefix(), "platformatic", "produce"]);
    expect([await program.line(), (await program.exited).code, program.stderr()]).toEqual(["closed true", 0, ""]);
  });

  test("a cluster that does not answer is told apart within timeoutMs, with its address", async () => {
    const settings = await testSettings("127.0.0.1:1", "t", { timeoutMs: 300 });
    const error = await openPureClient(settings).then(() => null, (thrown: unknown) => thrown);
    expect(isStreamError(error) && [error.code, error.message]).toEqual([
      "LOG_UNAVAILABLE",
      "[kafka] Cannot connect to 127.0.0.1:1: no answer from the broker (connect ECONNREFUSED 127.0.0.1:1)",
    ]);
  });
});
