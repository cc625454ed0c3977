/** Readers and members of the pure client while their only broker is killed, or stands still for longer than a session. */
import { describe, expect } from "bun:test";
import { openFetcher } from "../../adapters/kafka/pure/fetcher.ts";
import { openGroups } from "../../adapters/kafka/pure/group.ts";
import { IdempotentProducer } from "../../adapters/kafka/pure/producer.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import { topicSpec } from "../../src/testing/conformance/log-subject.ts";
import { brokerTest, ownBroker, testBroker } from "./broker.ts";
import { api, openProxy } from "./faulty-proxy.ts";
import { openLog, testSettings } from "./kafka-clients.ts";
import { Follower, withCluster } from "./pure-subject.ts";

const SESSION_MS = 2_000;
/** A rebalance may take 60 s here. */
const RETURN_MS_MAX = 20_000;

describe("pure client in an outage", () => {
  brokerTest("a reader goes on without gap or repetition, and a member comes to own its partitions again", async () => {
    const broker = await ownBroker();
    try {
      await withCluster(
        async ({ cluster, topic, prefix, warnings }) => {
          const name = await topic("a");
          const fetcher = openFetcher(cluster);
          const groups = openGroups(cluster);
          const producer = new IdempotentProducer(cluster);
          const follower = new Follower((onArrival) => fetcher.reader({ topic: name, partition: 0 }, 0, onArrival));
          const heard: string[] = [];
          const member = await groups.join(`${prefix}g`, [name], {
            assigned: (partitions) => void heard.push(`assigned ${partitions.length}`),
            revoked: () => void heard.push("revoked"),
            lost: (partitions) => void heard.push(`lost ${partitions.length}`),
          });
          const expected: string[] = [];
          const write = async (value: string): Promise<void> => {
            const encoder = new BatchEncoder();
            encoder.append(cluster.settings.runtime.now(), null, value, null);
            const [position] = await producer.produce([{ topic: name, partition: 0, encoder }]);
            expect(position).toBe(expected.length);
            expected.push(value);
          };
          await write("before");
          await follower.toEnd(1);

          await broker.kill();
          await broker.restart();
          await write("killed");
          await follower.toEnd(2);

          await broker.pause();
          await cluster.pause(SESSION_MS + 500);
          expect(member.assigned).toEqual([]);
          await broker.resume();
          await write("stood still");
          await follower.toEnd(3);
          while (member.assigned.length === 0) await cluster.pause(20);

          expect(follower.values).toEqual(expected);
          expect(heard.filter((line) => line === "revoked")).toEqual([]);
          expect([heard.at(-2), heard.at(-1)]).toEqual(["lost 1", "assigned 1"]);
          expect(warnings.some((line) => line.includes("Cannot fetch from broker"))).toBe(true);
          expect(warnings.length).toBeLessThan(9);
          await member.leave();
          await groups.close();
          await fetcher.close();
        },
        { brokers: [broker.bootstrap], sessionTimeoutMs: SESSION_MS, timeoutMs: 60_000 },
      );
    } finally {
      await broker.remove();
    }
  });

  brokerTest("F24 a member that its coordinator alone does not let back in says so, while brokers answer", async () => {
    const { bootstrap, prefix } = await testBroker();
    const proxy = await openProxy(bootstrap);
    const log = await openLog("platformatic", await testSettings(proxy.bootstrap, `${prefix()}alone`, { sessionTimeoutMs: SESSION_MS, timeoutMs: 3_000 }));
    try {
      const [topic, group] = [`${prefix()}a`, `${prefix()}g`];
      await log.ensureTopics([topicSpec(topic)]);
      const trouble = (): string | null => log.trouble;
      const again = Promise.withResolvers<void>();
      let assigned = 0;
      await log.join(group, [topic], { assigned: () => void (++assigned === 2 && again.resolve()), revoked: () => undefined, lost: () => undefined });
      expect(trouble()).toBe(null);

      proxy.request = (key) => key === api.heartbeat || key === api.joinGroup ? "cut" : "pass";
      while (trouble() === null) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(trouble()).toContain(`[kafka] Cannot join group "${group}": no answer from the broker`);
      expect((await log.describe([topic])).length).toBe(1);
      proxy.request = () => "pass";
      await again.promise;
      expect(trouble()).toBe(null);
    } finally {
      await log.close();
      await proxy.close();
    }
  });

  brokerTest(
    "F24 a member whose join went into the void does not wait for its answer as long as a rebalance may take: what is silent elsewhere is silent there",
    async () => {
      const { bootstrap, prefix } = await testBroker();
      const proxy = await openProxy(bootstrap);
      const settings = { sessionTimeoutMs: SESSION_MS, timeoutMs: 3_000, rebalanceTimeoutMs: 60_000 };
      const log = await openLog("platformatic", await testSettings(proxy.bootstrap, `${prefix()}void`, settings));
      try {
        const [topic, group] = [`${prefix()}a`, `${prefix()}g`];
        await log.ensureTopics([topicSpec(topic)]);
        const lost = Promise.withResolvers<void>(), again = Promise.withResolvers<void>();
        let assigned = 0;
        await log.join(group, [topic], {
          assigned: () => void (++assigned === 2 && again.resolve()),
          revoked: () => undefined,
          lost: () => lost.resolve(),
        });
        const joins = proxy.count(api.joinGroup);
        proxy.request = (key) => key === api.heartbeat || key === api.joinGroup ? "lose" : "pass";
        await lost.promise;
        await proxy.reached(api.joinGroup, joins + 1);
        const questions = proxy.count(api.metadata);
        proxy.request = () => "lose";
        await proxy.reached(api.metadata, questions + 1);
        proxy.request = () => "pass";
        const from = performance.now();
        await again.promise;
        expect(performance.now() - from).toBeLessThan(RETURN_MS_MAX);
      } finally {
        await log.close();
        await proxy.close();
      }
    },
  );
});
