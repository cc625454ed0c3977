/** Commits and appends of the pure client while requests, answers and connections are lost at random. */
import { describe, expect } from "bun:test";
import { Random } from "../../src/base/random.ts";
import { isStreamError } from "../../src/base/errors.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";
import type { OutputBatch } from "../../src/log/log.ts";
import type { PureMember } from "../../adapters/kafka/pure/member.ts";
import { openPureClient } from "../../adapters/kafka/pure/pure-client.ts";
import { brokerTest, testBroker } from "./broker.ts";
import { openProxy } from "./faulty-proxy.ts";
import type { Fate } from "./faulty-proxy.ts";
import { testSettings } from "./kafka-clients.ts";
import { Follower } from "./pure-subject.ts";

const COMMITS = 40;
/** Records of a commit, in each partition. */
const RECORDS = 3;

function batch(topic: string, partition: number, values: readonly string[]): OutputBatch {
  const encoder = new BatchEncoder();
  for (const value of values) encoder.append(1, "k", value, null);
  return { topic, partition, encoder };
}

describe("losses at random", () => {
  for (const seed of [4, 6]) {
    brokerTest(`F03 F04 F05 each commit is in once or not at all, and each append at most once, seed ${seed}`, async () => {
      const { bootstrap, prefix } = await testBroker();
      const proxy = await openProxy(bootstrap);
      const [topic, hooks, group] = [prefix(), prefix(), prefix()];
      const client = await openPureClient(await testSettings(proxy.bootstrap, group, { timeoutMs: 1_000 }));
      try {
        await client.createTopics([topic, hooks].map((name) => ({ name, partitions: 2, replicationFactor: 1, configs: { "retention.ms": "-1" } })));
        const random = new Random(seed);
        const fate = (): Fate => {
          const drawn = random.float();
          return drawn < 0.03 ? "cut" : drawn < 0.038 ? "lose" : "pass";
        };
        proxy.request = fate;
        proxy.answer = fate;

        const member: PureMember = { group, memberId: "", generationId: -1, instanceId: null, assigned: [], trouble: null, leave: () => Promise.resolve() };
        const at = { topic, partition: 0 };
        const committedSoon = async (): Promise<number> => {
          for (;;) {
            try {
              return (await client.committed(group, [at]))[0]?.position ?? 0;
            } catch (error) {
              if (!isStreamError(error) || error.code !== "LOG_UNAVAILABLE") throw error;
            }
          }
        };
        const valuesOf = async (name: string, partition: number): Promise<(string | null)[]> => {
          const [info] = await client.offsets([{ topic: name, partition }]);
          const follower = new Follower((onArrival) => client.reader({ topic: name, partition }, 0, onArrival));
          await follower.toEnd(info!.end);
          follower.reader.close();
          return follower.values;
        };
        const appended = new Map<string, Promise<number | Error>>();
        const failures = new Set<string>();
        let next = 0;
        for (let tries = 0; next < COMMITS; tries++) {
          const hook = `${tries}`;
          appended.set(hook, client.produce([batch(hooks, tries % 2, [hook])]).then(([answer]) => answer!));
          const values = Array.from({ length: RECORDS }, (_, i) => `${next}.${i}`);
          try {
            const ends = await client.transact({
              member,
              positions: [{ ...at, position: next + 1 }],
              batches: [batch(topic, 0, values), batch(topic, 1, values)],
            });
            expect(ends.length).toBe(2);
            next++;
          } catch (error) {
            if (!isStreamError(error)) throw error;
            failures.add(error.code);
            next = await committedSoon();
          }
        }
        proxy.request = () => "pass";
        proxy.answer = () => "pass";

        const wanted = Array.from({ length: COMMITS * RECORDS }, (_, i) => `${Math.floor(i / RECORDS)}.${i % RECORDS}`);
        expect(await valuesOf(topic, 0)).toEqual(wanted);
        expect(await valuesOf(topic, 1)).toEqual(wanted);
        expect((await client.committed(group, [at]))[0]?.position).toBe(COMMITS);
        const seen = [...await valuesOf(hooks, 0), ...await valuesOf(hooks, 1)];
        expect(new Set(seen).size).toBe(seen.length);
        for (const [hook, answer] of appended) if (typeof await answer === "number") expect([hook, seen.includes(hook)]).toEqual([hook, true]);
        expect([...failures].filter((code) => code !== "LOG_COMMIT_FAILED")).toEqual([]);
      } finally {
        await client.close();
        await proxy.close();
      }
    });
  }
});
