/** The brokers that tests use: what they promise is what the tests of crashes and pauses rest on. */
import { existsSync } from "node:fs";
import process from "node:process";
import { describe, expect } from "bun:test";
import { Admin, ListOffsetTimestamps, Producer, stringSerializers } from "@platformatic/kafka";
import { answersRequests } from "../../scripts/kafka/answers-requests.mjs";
import { spawnProgram } from "../shim/spawn.ts";
import { brokerTest, ownBroker, testBroker } from "./broker.ts";

const DEADLINE_MS = 20_000;

function answers(bootstrap: string): Promise<boolean> {
  return answersRequests("127.0.0.1", Number(bootstrap.split(":")[1]));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Not within ${DEADLINE_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("brokers for tests", () => {
  brokerTest("testBroker() gives the same broker each time, and names that are new", async () => {
    const first = await testBroker();
    const second = await testBroker();

    expect(second.bootstrap).toBe(first.bootstrap);
    expect(await answers(first.bootstrap)).toBe(true);
    expect(second.prefix()).not.toBe(first.prefix());
  });

  brokerTest("ownBroker() keeps what it took through kill and restart, answers nothing while paused, and is gone when removed", async () => {
    const broker = await ownBroker();
    const client = { clientId: "test", bootstrapBrokers: [broker.bootstrap] };
    const { pid, directory } = broker;
    const admin = new Admin(client);
    const producer = new Producer({ ...client, serializers: stringSerializers, idempotent: true });
    await admin.createTopics({ topics: ["kept"], partitions: 1, replicas: 1 });
    await producer.send({ messages: [{ topic: "kept", key: "a", value: "1" }, { topic: "kept", key: "b", value: "2" }] });
    await Promise.all([producer.close(), admin.close()]);

    await broker.kill();
    expect([await answers(broker.bootstrap), isAlive(pid)]).toEqual([false, false]);

    await broker.restart();
    const again = new Admin(client);
    const [offsets] = await again.listOffsets({ topics: [{ name: "kept", partitions: [{ partitionIndex: 0, timestamp: ListOffsetTimestamps.LATEST }] }] });
    await again.close();
    expect(broker.pid).not.toBe(pid);
    expect(offsets?.partitions.map(({ offset }) => offset)).toEqual([2n]);

    await broker.pause();
    expect([await answers(broker.bootstrap), isAlive(broker.pid)]).toEqual([false, true]);
    await broker.resume();
    expect(await answers(broker.bootstrap)).toBe(true);

    await broker.remove();
    expect([isAlive(broker.pid), existsSync(directory)]).toEqual([false, false]);
  });

  brokerTest("a broker ends, and its data go, with a process that is killed", async () => {
    const program = spawnProgram("self", new URL("own-broker-fixture.ts", import.meta.url));
    const { pid, directory } = JSON.parse((await program.line()) ?? "null") as { pid: number; directory: string };
    expect([isAlive(pid), existsSync(directory)]).toEqual([true, true]);

    program.kill("SIGKILL");
    await program.exited;

    await until(() => !isAlive(pid) && !existsSync(directory));
  });
});
