/** Commits of `KafkaLog` over a client whose answers the test holds back: what must not happen in the meantime, and what may be apart from the transaction. */
import { expect, test } from "bun:test";
import { kafkaLog } from "../../../adapters/kafka/kafka-log.ts";
import type { GroupMember, KafkaClient, Transaction } from "../../../adapters/kafka/client.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";
import type { AssignmentListener, Log, Membership, OutputBatch } from "../../../src/log/log.ts";
import type { TopicPartition } from "../../../src/record/record.ts";
import { output, topicSpec, unit } from "../../../src/testing/conformance/log-subject.ts";

/** What a client was asked for. */
class Asked implements GroupMember {
  readonly group = "g";
  readonly memberId = "m";
  readonly trouble = null;
  assigned: readonly TopicPartition[] = [{ topic: "in", partition: 0 }];
  readonly transactions: Transaction[] = [];
  readonly produced: OutputBatch[] = [];
  /** The next transaction waits for it. */
  held: Promise<void> | null = null;
  /** Resolves once a transaction has begun. */
  readonly begun: PromiseWithResolvers<void> = Promise.withResolvers();
  listener: AssignmentListener | null = null;

  async leave(): Promise<void> {}

  client(): KafkaClient {
    const known = ["in", "out", "own"].map((name) => ({ name, partitions: 1 }));
    const client: Partial<KafkaClient> = {
      topics: async () => known,
      topicConfigs: async () => new Map(),
      join: async (_group, _topics, listener) => {
        this.listener = listener;
        await listener.assigned(this.assigned);
        return this;
      },
      produce: async (batches) => {
        this.produced.push(...batches);
        return batches.map(() => 0);
      },
      transact: async (transaction) => {
        const { held } = this;
        this.held = null;
        this.begun.resolve();
        await held;
        this.transactions.push(transaction);
        return transaction.batches.map(() => 1);
      },
      close: async () => {},
    };
    return client as KafkaClient;
  }
}

async function opened(asked: Asked): Promise<{ readonly log: Log; readonly membership: Membership }> {
  const log = await kafkaLog(asked.client(), { runtime: await hostRuntime(), warn: () => {} });
  await log.ensureTopics([topicSpec("in"), topicSpec("out"), topicSpec("own", { internal: true })]);
  const membership = await log.join("g", ["in"], { assigned() {}, revoked() {}, lost() {} });
  return { log, membership };
}

test("L7 F06 a commit that waited while its member lost its partitions is refused, also where it owns them again", async () => {
  const asked = new Asked();
  const { log, membership } = await opened(asked);
  const gate = Promise.withResolvers<void>();
  asked.held = gate.promise;
  const positions = [{ topic: "in", partition: 0, position: 1 }];

  const first = log.commit(unit(membership, { positions, outputs: [output("out", 0, "a")] }), () => {});
  const second = Promise.resolve(log.commit(unit(membership, { positions, outputs: [output("out", 0, "b")] }), () => {})).then(
    () => null,
    (error: unknown) => error,
  );
  await asked.begun.promise;
  asked.assigned = [];
  asked.assigned = [{ topic: "in", partition: 0 }];
  gate.resolve();
  await first;

  expect(await second).toMatchObject({ code: "FENCED", message: expect.stringContaining("has other partitions than when the commit began") });
  expect(asked.transactions.length).toBe(1);
  await log.commit(unit(membership, { positions, outputs: [output("out", 0, "c")] }), () => {});
  expect(asked.transactions.length).toBe(2);
  await log.close();
});

test("at-least-once: records for topics of the user's are apart from the transaction, those for internal ones and the changelog are in it", async () => {
  const asked = new Asked();
  const { log, membership } = await opened(asked);

  await log.commit(
    unit(membership, {
      positions: [{ topic: "in", partition: 0, position: 1 }],
      outputs: [output("out", 0, "a"), output("own", 0, "b")],
      guarantee: "at-least-once",
    }),
    () => {},
  );

  expect(asked.produced.map(({ topic }) => topic)).toEqual(["out"]);
  expect(asked.transactions.map(({ batches }) => batches.map(({ topic }) => topic))).toEqual([["own"]]);
  await log.close();
});

test("a listener that fails in a later assigned hears that it is out", async () => {
  const asked = new Asked();
  const log = await kafkaLog(asked.client(), { runtime: await hostRuntime(), warn: () => {} });
  const heard: string[] = [];
  let calls = 0;
  const failure = new Error("no");
  const membership = await log.join("g", ["in"], {
    assigned() {
      if (calls++ > 0) throw failure;
    },
    revoked() {},
    lost: () => void heard.push("lost"),
    out: (error) => void heard.push(error === failure ? "out" : "another error"),
  });

  await asked.listener!.assigned(asked.assigned);

  expect(heard).toEqual(["lost", "out"]);
  expect(membership.assigned).toEqual([]);
  await log.close();
});
