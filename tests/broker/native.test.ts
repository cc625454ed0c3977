/** The client over librdkafka on a real broker: what tests of the log do not reach. */
import { describe, expect, test } from "bun:test";
import type { ClientSettings, KafkaClient } from "../../adapters/kafka/client.ts";
import { openNativeClient } from "../../adapters/kafka/native/native-client.ts";
import { isStreamError } from "../../src/base/errors.ts";
import type { AssignmentListener, OutputBatch } from "../../src/log/log.ts";
import { output } from "../../src/testing/conformance/log-subject.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import type { TopicPartition } from "../../src/record/record.ts";
import { selfName, spawnProgram } from "../shim/spawn.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { foreignProducer } from "./foreign-producer.ts";
import { testSettings, whyNoClient } from "./kafka-clients.ts";
import { Follower } from "./pure-subject.ts";

const whyNot = await whyNoClient("confluent");

/** A test on Node with the package; elsewhere skipped, with the reason. */
function nativeTest(name: string, body: (subject: NativeSubject) => Promise<void>): void {
  if (whyNot === null) brokerTest(name, () => withClients(body));
  else test.skip(`${name} [skipped: ${whyNot}]`, () => undefined);
}

interface NativeSubject {
  readonly bootstrap: string;
  readonly prefix: string;
  readonly client: KafkaClient;
  readonly warnings: string[];
  /** Another client, as another process would have it. */
  open(worker: string, more?: Partial<ClientSettings>): Promise<KafkaClient>;
  /** Makes a topic; gives its name. */
  topic(name: string, partitions?: number): Promise<string>;
}

async function withClients(body: (subject: NativeSubject) => Promise<void>): Promise<void> {
  const { bootstrap, prefix } = await testBroker();
  const names = prefix();
  const warnings: string[] = [];
  const opened: KafkaClient[] = [];
  const open = async (worker: string, more: Partial<ClientSettings> = {}): Promise<KafkaClient> => {
    const client = await openNativeClient(await testSettings(bootstrap, `${names}${worker}`, { warn: (message) => void warnings.push(message), ...more }));
    opened.push(client);
    return client;
  };
  try {
    const client = await open("one");
    const topic = async (name: string, partitions = 1): Promise<string> => {
      await client.createTopics([{
        name: `${names}${name}`,
        partitions,
        replicationFactor: 1,
        configs: { "retention.ms": "-1", "message.timestamp.after.max.ms": "9223372036854775807" },
      }]);
      return `${names}${name}`;
    };
    await body({ bootstrap, prefix: names, client, warnings, open, topic });
  } finally {
    for (const client of opened) await client.close();
  }
}

/** A listener that writes down what it hears, and lets others wait for it. */
class Ear implements AssignmentListener {
  readonly heard: string[] = [];
  readonly #revoked: () => void | Promise<void>;
  #changed = Promise.withResolvers<void>();

  constructor(revoked: () => void | Promise<void> = () => undefined) {
    this.#revoked = revoked;
  }

  assigned(partitions: readonly TopicPartition[]): void {
    this.#note("assigned", partitions);
  }

  revoked(partitions: readonly TopicPartition[]): void | Promise<void> {
    this.#note("revoked", partitions);
    return this.#revoked();
  }

  lost(partitions: readonly TopicPartition[]): void {
    this.#note("lost", partitions);
  }

  async until(count: number): Promise<void> {
    while (this.heard.length < count) await this.#changed.promise;
  }

  #note(what: string, partitions: readonly TopicPartition[]): void {
    this.heard.push([what, ...partitions.map(({ partition }) => partition)].join(" "));
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

async function codeOf(call: Promise<unknown>): Promise<string | null> {
  const error = await call.then(() => null, (thrown: unknown) => thrown);
  if (error === null) return null;
  return isStreamError(error) && error.message.startsWith("[kafka] ") ? error.code : `foreign: ${String(error)}`;
}

function follow(client: KafkaClient, at: TopicPartition, position = 0): Follower {
  return new Follower((onArrival) => client.reader(at, position, onArrival));
}

async function valuesOf(client: KafkaClient, topic: string, partition = 0): Promise<(string | null)[]> {
  const follower = follow(client, { topic, partition });
  await follower.toEnd();
  follower.reader.close();
  return follower.values;
}

/** A record so large that no broker takes it. */
function tooLarge(topic: string): OutputBatch {
  const encoder = new BatchEncoder();
  encoder.append(1_000, "k", "x".repeat(20_000_000), null);
  return { topic, partition: 0, encoder };
}

describe("native client: groups", () => {
  nativeTest("L8 a member that comes waits for revoked(), in which the one before can still commit", async ({ client, open, topic, prefix }) => {
    const source = await topic("in", 2);
    const other = await open("two");
    const gate = Promise.withResolvers<void>();
    const first = new Ear(() => gate.promise);
    const second = new Ear();
    const one = await client.join(`${prefix}g`, [source], first);

    const joining = other.join(`${prefix}g`, [source], second);
    await first.until(2);
    await client.transact({ member: one, positions: [{ topic: source, partition: 1, position: 4 }], batches: [] });
    expect(second.heard).toEqual([]);
    gate.resolve();
    const two = await joining;
    await first.until(3);

    expect(first.heard).toEqual(["assigned 0 1", "revoked 0 1", `assigned ${one.assigned[0]!.partition}`]);
    expect([...one.assigned, ...two.assigned].map(({ partition }) => partition).sort()).toEqual([0, 1]);
    const both = [0, 1].map((partition) => ({ topic: source, partition }));
    expect(await other.committed(`${prefix}g`, both)).toEqual([{ topic: source, partition: 1, position: 4 }]);

    const share = two.assigned[0]!.partition;
    await one.leave();
    await second.until(3);
    expect(second.heard).toEqual([`assigned ${share}`, `revoked ${share}`, "assigned 0 1"]);
    expect([one.assigned, await codeOf(client.commitPositions(one, [{ ...both[0]!, position: 9 }]))]).toEqual([[], "FENCED"]);
  });

  nativeTest(
    "L7 a member that was blocked for too long has lost its partitions: it is told, and what it commits is refused",
    async ({ open, topic, prefix }) => {
      const [source, target] = [await topic("in"), await topic("out")];
      const blocked = await open("blocked", { sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 1_000 });
      const ear = new Ear();
      const member = await blocked.join(`${prefix}g`, [source], ear);
      const positions = [{ topic: source, partition: 0, position: 7 }];

      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
      const code = await codeOf(blocked.transact({ member, positions, batches: [output(target, 0, "late")] }));

      expect(code).toBe("FENCED");
      await ear.until(3);
      expect(ear.heard).toEqual(["assigned 0", "lost 0", "assigned 0"]);
      expect(await blocked.committed(`${prefix}g`, positions)).toEqual([]);
      await blocked.transact({ member, positions, batches: [output(target, 0, "in time")] });
      expect([await blocked.committed(`${prefix}g`, positions), await valuesOf(blocked, target)]).toEqual([positions, ["in time"]]);
    },
  );
});

describe("native client: instance ids", () => {
  nativeTest(
    "L8 members with instance ids share a group, one that leaves hands over at once, one that is closed keeps its place",
    async ({ open, topic, prefix }) => {
      const source = await topic("in", 2);
      const settings = { instanceId: `${prefix}worker`, sessionTimeoutMs: 300_000, rebalanceTimeoutMs: 60_000 };
      const client = await open("a", settings);
      const [first, second] = [new Ear(), new Ear()];
      const one = await client.join(`${prefix}g`, [source], first);
      const two = await client.join(`${prefix}g`, [source], second);
      await first.until(3);
      expect([...one.assigned, ...two.assigned].map(({ partition }) => partition).sort()).toEqual([0, 1]);

      await two.leave();
      await first.until(5);
      expect(one.assigned.map(({ partition }) => partition)).toEqual([0, 1]);
      await client.close();

      const successor = await open("b", settings);
      const member = await successor.join(`${prefix}g`, [source], new Ear());
      expect(member.assigned.map(({ partition }) => partition)).toEqual([0, 1]);
      await member.leave();
    },
  );
});

describe("native client: transactions", () => {
  nativeTest("L4 a transaction that is refused leaves nothing, says why, and the next one goes through", async ({ client, topic, prefix }) => {
    const [source, target] = [await topic("in"), await topic("out")];
    const member = await client.join(`${prefix}g`, [source], new Ear());
    const commit = (position: number, ...batches: OutputBatch[]): Promise<readonly number[]> =>
      client.transact({ member, positions: [{ topic: source, partition: 0, position }], batches });

    const ends = await commit(1, output(target, 0, "a", "b"));
    expect(await codeOf(commit(2, output(target, 0, "no"), tooLarge(target)))).toBe("RECORD_TOO_LARGE");
    expect(await codeOf(commit(3, output(target, 0, "no"), output(`${prefix}none`, 0, "no")))).toBe("LOG_TOPIC_UNKNOWN");
    const after = await client.committed(`${prefix}g`, [{ topic: source, partition: 0 }]);
    await commit(4, output(target, 0, "c"));

    expect([ends.length, ends[0]! >= 2, after]).toEqual([1, true, [{ topic: source, partition: 0, position: 1 }]]);
    expect(await valuesOf(client, target)).toEqual(["a", "b", "c"]);
    expect((await client.committed(`${prefix}g`, [{ topic: source, partition: 0 }]))[0]?.position).toBe(4);
  });

  nativeTest("L7 who comes under the same transactional id fences the one before", async ({ client, open, topic, prefix }) => {
    const [source, target] = [await topic("in"), await topic("out")];
    const zombie = await client.join(`${prefix}g1`, [source], new Ear());
    await client.transact({ member: zombie, positions: [], batches: [output(target, 0, "a")] });

    const successor = await open("one");
    const member = await successor.join(`${prefix}g2`, [source], new Ear());
    const positions = [{ topic: source, partition: 0, position: 5 }];
    expect(await codeOf(client.transact({ member: zombie, positions, batches: [output(target, 0, "zombie")] }))).toBe("FENCED");
    await successor.transact({ member, positions: [], batches: [output(target, 0, "b")] });

    expect([await valuesOf(successor, target), await successor.committed(`${prefix}g1`, positions)]).toEqual([["a", "b"], []]);
  });
});

describe("native client: reading", () => {
  nativeTest("L2 aborted records and ends of transactions are gaps, and leave no lag", async ({ client, bootstrap, topic, prefix }) => {
    const source = await topic("in");
    const at = { topic: source, partition: 0 };
    const producer = foreignProducer(bootstrap, `${prefix}foreign`);
    const write = async (isKept: boolean, ...values: string[]): Promise<void> => {
      const transaction = await producer.begin();
      await transaction.send(source, values);
      await (isKept ? transaction.commit() : transaction.abort());
    };
    await write(true, "a", "b");
    await write(false, "no", "no");
    await client.produce([output(source, 0, "c")]);
    await write(false, "no");

    const follower = follow(client, at);
    await follower.toEnd(9);
    expect([follower.seen, follower.reader.position, follower.reader.end]).toEqual([
      [{ position: 0, value: "a" }, { position: 1, value: "b" }, { position: 6, value: "c" }],
      9,
      9,
    ]);
    await write(true, "d");
    await follower.toEnd(11);
    expect([follower.seen.at(-1), follower.reader.position, follower.reader.end]).toEqual([{ position: 9, value: "d" }, 11, 11]);
    await producer.close();
  });

  nativeTest("L3 keys, values, headers and timestamps come back as they went in", async ({ client, topic }) => {
    const source = await topic("in");
    const encoder = new BatchEncoder();
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    encoder.append(1, null, null, [{ name: "b", value: bytes }, { name: "a", value: "" }, { name: "b", value: "2" }, { name: "__proto__", value: "p" }]);
    encoder.append(-5, bytes, "", null);
    encoder.append(1_800_000_000_000, "größe", "x".repeat(300_000), null);
    expect(await client.produce([{ topic: source, partition: 0, encoder }])).toEqual([0]);

    const cursor = new RecordCursor({ cutBatch: "refuse" });
    const seen: unknown[] = [];
    let arrived = Promise.withResolvers<void>();
    const reader = client.reader({ topic: source, partition: 0 }, 0, () => arrived.resolve());
    while (seen.length < 3) {
      arrived = Promise.withResolvers();
      const chunk = reader.take(1_000);
      if (chunk === null) await arrived.promise;
      else {
        cursor.open(chunk.bytes, chunk.start, chunk.end, 0);
        while (cursor.next()) {
          const headers = cursor.headers().map(({ name, value }) => [name, value === null ? null : [...value as Uint8Array]]);
          seen.push([cursor.position, cursor.timestamp, cursor.keyBytes() && [...cursor.keyBytes()!], cursor.valueText(), headers]);
        }
      }
    }

    const of = (text: string): number[] => [...new TextEncoder().encode(text)];
    expect(seen).toEqual([
      [0, 1, null, null, [["b", [...bytes]], ["a", []], ["b", of("2")], ["__proto__", of("p")]]],
      [1, -5, [...bytes], "", []],
      [2, 1_800_000_000_000, of("größe"), "x".repeat(300_000), []],
    ]);
  });

  nativeTest("L11 a reader whose records were deleted, and one beyond the end, are refused; others read on", async ({ client, open, topic }) => {
    const [source, other] = [await topic("in"), await topic("other")];
    const small = await open("small", { prefetchBytes: 16_384 });
    const batches = Array.from({ length: 40 }, (_, index) => output(source, 0, `${index}-${"x".repeat(20_000)}`));
    await client.produce(batches);
    await client.produce([output(other, 0, "a")]);

    let arrived = Promise.withResolvers<void>();
    const slow = small.reader({ topic: source, partition: 0 }, 0, () => arrived.resolve());
    const beside = follow(small, { topic: other, partition: 0 });
    await beside.toEnd(1);
    await client.deleteRecords([{ topic: source, partition: 0, position: 39 }]);
    let error: unknown = null;
    let taken = 0;
    while (error === null) {
      arrived = Promise.withResolvers();
      try {
        if (slow.take(1) === null) await arrived.promise;
        else taken++;
      } catch (thrown) {
        error = thrown;
      }
    }

    expect([isStreamError(error) && error.code, taken < 39]).toEqual(["LOG_POSITION_OUT_OF_RANGE", true]);
    expect(await codeOf(Promise.resolve().then(() => slow.take(1)))).toBe("LOG_POSITION_OUT_OF_RANGE");
    slow.seek(39);
    arrived = Promise.withResolvers();
    while (slow.take(1) === null) await arrived.promise;
    expect(slow.position).toBe(40);
    const far = small.reader({ topic: other, partition: 0 }, 2, () => arrived.resolve());
    const refused = async (): Promise<void> => {
      for (;;) {
        arrived = Promise.withResolvers();
        if (far.take(1) === null) await arrived.promise;
      }
    };
    expect(await codeOf(refused())).toBe("LOG_POSITION_OUT_OF_RANGE");
    await client.produce([output(other, 0, "b")]);
    await beside.toEnd(2);
    expect(beside.values).toEqual(["a", "b"]);
  });

  nativeTest("L2 a reader that nobody asks holds about what it may fetch ahead, and starves no other", async ({ client, open, topic }) => {
    const source = await topic("in", 2);
    const small = await open("small", { prefetchBytes: 32_768 });
    for (const partition of [0, 1]) {
      await client.produce(Array.from({ length: 100 }, (_, index) => output(source, partition, `${index}-${"x".repeat(10_000)}`)));
    }

    const idle = follow(small, { topic: source, partition: 0 });
    const busy = follow(small, { topic: source, partition: 1 });
    await busy.until(() => busy.seen.length === 100);
    await idle.until(() => idle.seen.length === 100);

    const numbers = Array.from({ length: 100 }, (_, index) => index);
    expect([busy, idle].map(({ seen }) => seen.map(({ position }) => position))).toEqual([numbers, numbers]);
  });
});

describe("native client: the rest", () => {
  nativeTest("L3 produce() tells where each batch lies, and fails each by itself", async ({ client, topic, prefix }) => {
    const source = await topic("in", 2);
    await client.produce([output(source, 1, "before")]);

    const answers = await client.produce([
      output(source, 0, "a", "b"),
      output(source, 1, "c"),
      tooLarge(source),
      output(source, 0, "d"),
      output(`${prefix}none`, 0, "e"),
    ]);

    const codes = answers.map((answer) => isStreamError(answer) ? answer.code : answer);
    expect(codes).toEqual([0, 1, "RECORD_TOO_LARGE", 2, "LOG_TOPIC_UNKNOWN"]);
    expect([await valuesOf(client, source), await valuesOf(client, source, 1)]).toEqual([["a", "b", "d"], ["before", "c"]]);
    expect(await client.offsets([{ topic: source, partition: 0 }])).toEqual([{ topic: source, partition: 0, start: 0, end: 3 }]);
  });

  nativeTest("L3 a timestamp of 0 is refused, for librdkafka would write another one", async ({ client, topic }) => {
    const source = await topic("in");
    const encoder = new BatchEncoder();
    encoder.append(1, "k", "v", null);
    encoder.append(0, "k", "v", null);

    const [answer] = await client.produce([{ topic: source, partition: 0, encoder }]);

    expect([isStreamError(answer) && answer.code, await valuesOf(client, source)]).toEqual(["TIMESTAMP_INVALID", []]);
  });

  nativeTest("L10 topics are told with their partitions; those that were made meanwhile are written at once", async ({ client, open, topic, prefix }) => {
    const other = await open("two");
    const source = await topic("in", 3);
    await client.createTopics([{ name: source, partitions: 3, replicationFactor: -1, configs: {} }]);

    expect(await other.topics([source, `${prefix}none`])).toEqual([{ name: source, partitions: 3 }]);
    expect(await other.topicConfigs([source, `${prefix}none`], ["retention.ms"])).toEqual(new Map([[source, { "retention.ms": "-1" }]]));
    const all = await other.topics(null);
    expect([all.some(({ name }) => name === source), all.some(({ name }) => name.startsWith("__"))]).toEqual([true, false]);
    expect(await other.produce([output(source, 2, "a")])).toEqual([0]);
  });

  nativeTest("L12 close() cuts off what is under way and leaves nothing that keeps a process alive", async ({ bootstrap, prefix }) => {
    const program = spawnProgram("self", new URL("./close-fixture.ts", import.meta.url), [bootstrap, prefix, "confluent", "transact"]);
    expect([await program.line(), (await program.exited).code, program.stderr()]).toEqual(["closed LOG_CLOSED", 0, ""]);
  });

  if (whyNot === null) {
    test("a cluster that does not answer is told within timeoutMs, with its address", async () => {
      const settings = await testSettings("127.0.0.1:1", "t", { timeoutMs: 500 });
      const error = await openNativeClient(settings).then(() => null, (thrown: unknown) => thrown);
      expect(isStreamError(error) && [error.code, error.message.startsWith("[kafka] Cannot connect to 127.0.0.1:1: no answer from the broker")]).toEqual([
        "LOG_UNAVAILABLE",
        true,
      ]);
    });
  }

  if (selfName() !== "node") {
    test("where the package cannot run, RUNTIME_UNSUPPORTED tells the way round", async () => {
      const error = await openNativeClient(await testSettings("127.0.0.1:1", "t")).then(() => null, (thrown: unknown) => thrown);
      expect(isStreamError(error) && [error.code, error.message.includes("Node only")]).toEqual(["RUNTIME_UNSUPPORTED", true]);
    });
  }
});
