/** Readers of the pure client on a real broker; what they read is written by another client. */
import { describe, expect } from "bun:test";
import type { Cluster } from "../../adapters/kafka/pure/cluster.ts";
import { openFetcher } from "../../adapters/kafka/pure/fetcher.ts";
import type { Fetcher } from "../../adapters/kafka/pure/fetcher.ts";
import { brokerTest } from "./broker.ts";
import { Follower, messages, withCluster } from "./pure-subject.ts";
import type { PureSubject } from "./pure-subject.ts";

function withFetcher(
  body: (subject: PureSubject & { readonly fetcher: Fetcher }) => Promise<void>,
  more: Parameters<typeof withCluster>[1] = {},
): Promise<void> {
  return withCluster(async (subject) => {
    const fetcher = openFetcher(subject.cluster);
    try {
      await body({ ...subject, fetcher });
    } finally {
      await fetcher.close();
    }
  }, more);
}

function follow(fetcher: Fetcher, topic: string, position = 0, partition = 0): Follower {
  return new Follower((onArrival) => fetcher.reader({ topic, partition }, position, onArrival));
}

/** A cluster whose first fetch is answered, but not heard of before `gate`. */
function withHeldAnswer(cluster: Cluster, answered: () => void, gate: Promise<void>): Cluster {
  let isFirst = true;
  const request: Cluster["request"] = async (lane, broker, call, options) => {
    const isHeld = lane === "fetch" && isFirst;
    if (isHeld) isFirst = false;
    const answer = await cluster.request(lane, broker, call, options);
    if (isHeld) {
      answered();
      await gate;
    }
    return answer;
  };
  return new Proxy(cluster, {
    get(target, name) {
      if (name === "request") return request;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const numbered = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `v${from + i}`);

describe("pure reader", () => {
  brokerTest("L2 a reader gives every record once, from where it was opened, and knows the end", () =>
    withFetcher(async ({ fetcher, topic, producer }) => {
      const name = await topic("a", 2);
      const writer = producer();
      await writer.send({ messages: [...messages(name, numbered(0, 50)), ...messages(name, numbered(100, 130), 1)] });

      const [first, middle, other] = [follow(fetcher, name), follow(fetcher, name, 20), follow(fetcher, name, 0, 1)];
      expect([first.reader.end, first.reader.take(1_000)]).toEqual([null, null]);
      await Promise.all([first.toEnd(), middle.toEnd(), other.toEnd()]);

      expect(first.values).toEqual(numbered(0, 50));
      expect(middle.values).toEqual(numbered(20, 50));
      expect(other.values).toEqual(numbered(100, 130));
      expect([first.reader.position, first.reader.end]).toEqual([50, 50]);
      expect(first.seen.map(({ position }) => position)).toEqual(Array.from({ length: 50 }, (_, i) => i));

      await writer.send({ messages: messages(name, numbered(50, 60)) });
      await first.toEnd(60);
      expect(first.values).toEqual(numbered(0, 60));
    }));

  brokerTest(
    "L2 records of aborted transactions are left out: two in one answer, one over several, others between",
    () =>
      withFetcher(async ({ fetcher, topic, producer }) => {
        const name = await topic("a");
        const plain = producer();
        const one = producer("one");
        const two = producer("two");
        const expected: string[] = [];
        const write = async (writer: typeof one, end: "commit" | "abort", ...values: string[]): Promise<void> => {
          const transaction = await writer.beginTransaction();
          await transaction.send({ messages: messages(name, values) });
          await (end === "commit" ? transaction.commit() : transaction.abort());
          if (end === "commit") expected.push(...values);
        };
        await write(one, "abort", "x1", "x2");
        await write(one, "commit", "a");
        await write(one, "abort", "x3");
        // One that is under way while others come and go, and large enough for several answers.
        const long = await two.beginTransaction();
        const large = "x".repeat(90_000);
        for (let i = 0; i < 8; i++) {
          await long.send({ messages: messages(name, [`${i}${large}`]) });
          await write(one, i % 2 === 0 ? "commit" : "abort", `b${i}`);
          await plain.send({ messages: messages(name, [`p${i}`]) });
          expected.push(`p${i}`);
        }
        const early = follow(fetcher, name);
        await early.toEnd();
        expect(early.values).toEqual(["a"]);
        await long.abort();

        const late = follow(fetcher, name);
        const middle = follow(fetcher, name, 12);
        await Promise.all(
          [early, late, middle].map((follower) => follower.until(() => follower.values.includes("p7") && follower.reader.position === follower.reader.end)),
        );

        expect(late.values).toEqual(expected);
        expect(early.values).toEqual(expected);
        expect(middle.seen).toEqual(late.seen.filter(({ position }) => position >= 12));
        // The last thing in the partition is the marker of the abort.
        expect(late.reader.position).toBe(late.reader.end!);
        expect(late.reader.position).toBeGreaterThan(late.seen.at(-1)!.position + 1);
      }),
  );

  brokerTest(
    "L2 a position within an aborted transaction, and behind the last record but before its marker",
    () =>
      withFetcher(async ({ fetcher, topic, producer }) => {
        const name = await topic("a");
        const writer = producer("one");
        const aborted = await writer.beginTransaction();
        await aborted.send({ messages: messages(name, numbered(0, 5)) });
        await aborted.abort();
        const committed = await writer.beginTransaction();
        await committed.send({ messages: messages(name, ["a", "b"]) });
        await committed.commit();

        const followers = [0, 2, 5, 6, 7, 8].map((position) => follow(fetcher, name, position));
        await Promise.all(followers.map((follower) => follower.toEnd(9)));

        expect(followers.map(({ values }) => values)).toEqual([["a", "b"], ["a", "b"], ["a", "b"], ["a", "b"], ["b"], []]);
        expect(followers.map(({ reader }) => [reader.position, reader.end])).toEqual(followers.map(() => [9, 9]));
      }),
  );

  for (const compression of ["gzip", "snappy", "lz4", "zstd"] as const) {
    brokerTest(
      `batches compressed by ${compression} are handed out uncompressed, in small pieces too`,
      () =>
        withFetcher(async ({ fetcher, topic, producer }) => {
          const name = await topic("a");
          const writer = producer();
          const values = numbered(0, 300).map((value) => `${value} ${"lorem ipsum ".repeat(20)}`);
          for (let i = 0; i < 300; i += 60) {
            await writer.send({ messages: messages(name, values.slice(i, i + 60)), compression: i % 120 === 0 ? compression : "none" });
          }

          const whole = follow(fetcher, name);
          await whole.toEnd(300);
          const pieces = follow(fetcher, name, 30);
          await pieces.until(() => pieces.reader.position === 300, 1);

          expect(whole.values).toEqual(values);
          expect(pieces.values).toEqual(values.slice(30));
        }),
    );
  }

  brokerTest(
    "L13 a record reaches an idle reader at once, also one that was opened while others wait",
    () =>
      withFetcher(async ({ fetcher, topic, producer, cluster }) => {
        const name = await topic("a", 8);
        const writer = producer();
        await writer.send({ messages: messages(name, ["warm"]) });
        const { runtime } = cluster.settings;
        const tookMs: number[] = [];
        const followers: Follower[] = [];
        for (let partition = 1; partition < 8; partition++) {
          const openedAt = runtime.monotonic();
          const follower = follow(fetcher, name, 0, partition);
          followers.push(follower);
          await follower.toEnd();
          // It waits now, beside those before it.
          const sentAt = runtime.monotonic();
          await writer.send({ messages: messages(name, ["a"], partition) });
          await follower.toEnd(1);
          tookMs.push(sentAt - openedAt, runtime.monotonic() - sentAt);
        }
        for (const follower of followers) expect(follower.values).toEqual(["a"]);
        // Half a second is what a reader takes that waits for the long poll of another: of fourteen waits at most a few are long, where the machine is busy.
        expect(tookMs.toSorted((left, right) => left - right)[10]!).toBeLessThan(150);
      }),
  );

  brokerTest(
    "several readers of one partition, one of them set back and forth, each get what is theirs",
    () =>
      withFetcher(async ({ fetcher, topic, producer }) => {
        const name = await topic("a");
        const writer = producer();
        for (let i = 0; i < 100; i += 20) await writer.send({ messages: messages(name, numbered(i, i + 20)) });
        const [steady, jumping, ...more] = [0, 90, 10, 20, 30].map((position) => follow(fetcher, name, position)) as [Follower, Follower, ...Follower[]];
        jumping.reader.seek(40);
        await jumping.toEnd();
        expect(jumping.values).toEqual(numbered(40, 100));
        jumping.reader.seek(70);
        expect(jumping.reader.position).toBe(70);
        jumping.reader.seek(60);
        await jumping.until(() => jumping.reader.position === 100);
        expect(jumping.values).toEqual([...numbered(40, 100), ...numbered(60, 100)]);
        await steady.toEnd();
        expect(steady.values).toEqual(numbered(0, 100));
        await writer.send({ messages: messages(name, ["last"]) });
        await Promise.all([steady, jumping, ...more].map((follower) => follower.toEnd(101)));
        expect([steady, jumping, ...more].map(({ values }) => values.at(-1))).toEqual(Array.from({ length: 5 }, () => "last"));
        expect(more.map(({ values }) => values.length)).toEqual([91, 81, 71]);
      }),
  );

  brokerTest(
    "L2 an answer to what was asked for before a seek is of no use",
    () =>
      withCluster(async ({ cluster, topic, producer }) => {
        const name = await topic("a");
        const writer = producer();
        for (let i = 0; i < 100; i += 20) await writer.send({ messages: messages(name, numbered(i, i + 20)) });
        const answered = Promise.withResolvers<void>();
        const gate = Promise.withResolvers<void>();
        const fetcher = openFetcher(withHeldAnswer(cluster, answered.resolve, gate.promise));
        const follower = follow(fetcher, name, 90);
        await answered.promise;
        follower.reader.seek(40);
        gate.resolve();
        await follower.toEnd();
        expect(follower.values).toEqual(numbered(40, 100));
        await fetcher.close();
      }),
  );

  brokerTest(
    "L11 below the first kept position and beyond the end reading is refused, until a seek",
    () =>
      withFetcher(async ({ fetcher, topic, producer, admin }) => {
        const name = await topic("a");
        await producer().send({ messages: messages(name, numbered(0, 10)) });
        await admin.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 4n }] }] });

        for (const position of [3, 11]) {
          const follower = follow(fetcher, name, position);
          const failure = await follower.toEnd().then(() => null, (error: unknown) => error);
          expect(failure).toMatchObject({ code: "LOG_POSITION_OUT_OF_RANGE", details: { position, start: 4, end: 10 } });
          expect(() => follower.reader.take(1)).toThrow("[kafka] Cannot read");
          follower.reader.seek(8);
          await follower.toEnd();
          expect(follower.values).toEqual(numbered(8, 10));
        }
      }),
  );

  brokerTest("what nobody takes is fetched up to the bound, and the rest when there is room", () =>
    withFetcher(async ({ fetcher, topic, producer }) => {
      const name = await topic("a", 2);
      const writer = producer();
      const value = "x".repeat(20_000);
      for (let i = 0; i < 60; i++) await writer.send({ messages: messages(name, [`${i}${value}`], 0) });
      const idle = follow(fetcher, name);
      const busy = follow(fetcher, name, 0, 1);
      await busy.toEnd();
      // Several rounds for the one, none for the other, which nobody asks.
      for (let i = 0; i < 20; i++) {
        await writer.send({ messages: messages(name, [`${i}`], 1) });
        await busy.toEnd(i + 1);
      }
      let queued = 0;
      for (let chunk = idle.reader.take(1); chunk !== null; chunk = idle.reader.take(1)) queued += chunk.end - chunk.start;
      expect(queued).toBeGreaterThan(60_000);
      expect(queued).toBeLessThan(200_000);
      const taken = idle.reader.position;
      await idle.toEnd();
      expect(idle.values.map((text) => Number.parseInt(text!))).toEqual(Array.from({ length: 60 - taken }, (_, i) => taken + i));
    }, { prefetchBytes: 65_536 }));

  brokerTest("a batch larger than all bounds is read, beside others", () =>
    withFetcher(async ({ fetcher, topic, producer }) => {
      const name = await topic("a", 3);
      const writer = producer();
      const large = "y".repeat(900_000);
      for (let i = 0; i < 6; i++) await writer.send({ messages: messages(name, [`${i}${large}`], i % 3) });
      const followers = [0, 1, 2].map((partition) => follow(fetcher, name, 0, partition));
      await Promise.all(followers.map((follower) => follower.toEnd()));
      expect(followers.map(({ values }) => values.map((text) => text!.length))).toEqual(followers.map(() => [900_001, 900_001]));
    }, { prefetchBytes: 16_384 }));

  brokerTest(
    "a partition and a topic that come later are read once they are there; one that never comes is told of",
    () =>
      withFetcher(async ({ fetcher, topic, producer, admin, prefix }) => {
        const late = follow(fetcher, `${prefix}b`, 0, 1);
        const never = follow(fetcher, `${prefix}never`);
        await topic("b");
        await admin.createPartitions({ topics: [{ name: `${prefix}b`, count: 2 }] });
        await producer().send({ messages: messages(`${prefix}b`, ["a"], 1) });
        await late.toEnd(1);
        expect(late.values).toEqual(["a"]);
        const failure = await never.toEnd().then(() => null, (error: unknown) => error);
        expect(failure).toMatchObject({ code: "LOG_TOPIC_UNKNOWN" });
      }, { timeoutMs: 5_000 }),
  );

  brokerTest(
    "lost connections are made anew without a gap or a repetition, and told of once",
    () =>
      withFetcher(async ({ fetcher, cluster, topic, producer, warnings }) => {
        const name = await topic("a", 2);
        const writer = producer();
        const [one, two] = [follow(fetcher, name), follow(fetcher, name, 0, 1)];
        for (let i = 0; i < 6; i++) {
          await Promise.all([one.toEnd(i * 10), two.toEnd(i * 10)]);
          cluster.release("fetch");
          if (i % 2 === 0) cluster.release("poll");
          await writer.send({ messages: [...messages(name, numbered(i * 10, i * 10 + 10)), ...messages(name, numbered(i * 10, i * 10 + 10), 1)] });
        }
        await Promise.all([one.toEnd(60), two.toEnd(60)]);
        expect([one.values, two.values]).toEqual([numbered(0, 60), numbered(0, 60)]);
        expect(warnings.length).toBeGreaterThan(0);
        expect(warnings.length).toBeLessThanOrEqual(6 * 2);
        expect(warnings[0]).toContain("[kafka] Cannot fetch from broker");
      }),
  );

  brokerTest(
    "L12 a closed reader gives nothing, and after the cluster was closed every call is refused",
    () =>
      withFetcher(async ({ fetcher, cluster, topic, producer }) => {
        const name = await topic("a");
        await producer().send({ messages: messages(name, ["a"]) });
        const [closed, open] = [follow(fetcher, name), follow(fetcher, name)];
        await Promise.all([closed.toEnd(), open.toEnd()]);
        closed.reader.close();
        closed.reader.seek(0);
        const told = closed.told;
        open.reader.seek(0);
        await open.until(() => open.reader.position === 1);
        expect([closed.reader.take(100), closed.told]).toEqual([null, told]);
        await cluster.pause(0);
        await fetcher.close();
        expect(() => open.reader.take(100)).toThrow(expect.objectContaining({ code: "LOG_CLOSED" }));
        expect(() => open.reader.seek(0)).toThrow(expect.objectContaining({ code: "LOG_CLOSED" }));
      }),
  );
});
