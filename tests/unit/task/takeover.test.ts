/**
 * Tasks that move: workers of one group come, die, lose their disks, are told late that they lost their partitions, and have commits whose end they never hear of. State comes from the changelog,
 * and what they write is what one undisturbed worker would have written, once.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { count, createApp, sum, tumbling } from "../../../mod.ts";
import type { App } from "../../../mod.ts";
import { internalsOf } from "../../../src/app/app.ts";
import type { Engine } from "../../../src/app/engine.ts";
import { ExternalError } from "../../../src/base/errors.ts";
import type { AssignmentListener, CommitReceipt, CommittedPosition, CommitUnit, Log, LogCapabilities, Membership } from "../../../src/log/log.ts";
import { memoryLog } from "../../../src/log/memory.ts";
import type { ObservedEvent } from "../../../src/observe/events.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import type { VirtualRuntime } from "../../../src/testing/virtual-runtime.ts";
import { WrappedLog } from "../../../src/testing/wrapped-log.ts";
import { recordsOf, runtimeOf, SEED, START, valuesOf } from "./harness.ts";

const host = await hostRuntime();

/** How the next commit of a worker ends. */
type CommitEnd = "done" | "refused" | "unknown" | "silent";

/** What one worker sees of a log that is elsewhere: commits take a while, and may end in many ways. */
class RemoteLog extends WrappedLog {
  next: CommitEnd = "done";
  /** Cut off from its group: it hears nothing. */
  isCutOff = false;
  membership: Membership | null = null;
  listener: AssignmentListener | null = null;
  readonly #silence = Promise.withResolvers<void>();

  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, durable: true };
  }

  override async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    this.listener = listener;
    this.membership = await super.join(group, topics, {
      assigned: (partitions) => this.isCutOff ? undefined : listener.assigned(partitions),
      revoked: (partitions) => this.isCutOff ? undefined : Promise.race([listener.revoked(partitions), this.#silence.promise]),
      lost: (partitions) => this.isCutOff ? undefined : listener.lost(partitions),
    });
    return this.membership;
  }

  override async commit(unit: CommitUnit, apply: (positions: readonly CommittedPosition[]) => void): Promise<CommitReceipt> {
    const end = this.next;
    this.next = "done";
    await host.yield();
    if (end === "refused") throw new ExternalError("LOG_COMMIT_FAILED", "[memory] refused");
    let positions: readonly CommittedPosition[] = [];
    const receipt = await this.inner.commit(unit, (written) => positions = written);
    if (end === "silent") {
      // A member that does not answer is put out of its group.
      this.isCutOff = true;
      this.#silence.resolve();
      void this.membership?.leave();
      return await new Promise(() => {});
    }
    await host.yield();
    if (end === "unknown") throw new ExternalError("LOG_COMMIT_FAILED", "[memory] nobody knows");
    apply(positions);
    return receipt;
  }

  override async close(): Promise<void> {}
}

/** One worker of the group, with a disk of its own. */
class Member {
  readonly events: ObservedEvent[] = [];
  readonly #app: App;
  readonly #runtime: VirtualRuntime;
  readonly #inner: Log;
  #disk: Disk = memoryDisk();
  #database: Database | null = null;
  engine: Engine | null = null;
  log: RemoteLog | null = null;

  constructor(app: App, runtime: VirtualRuntime, inner: Log) {
    this.#app = app;
    this.#runtime = runtime;
    this.#inner = inner;
  }

  async start(): Promise<void> {
    if (this.engine !== null) return;
    const log = this.log = new RemoteLog(this.#inner);
    const opening = internalsOf(this.#app).open({
      runtime: this.#runtime,
      driver: {
        "~log": "memory",
        open: async () => ({ log, database: this.#database = await openDatabase(this.#runtime, this.#disk, "state.db"), place: "memory" }),
      },
      worker: { commitIntervalMs: 20, idleTimeoutMs: null, clockIntervalMs: 10, stepRecords: 5, commitWaitMs: 15 },
      observer: (event) => void this.events.push(event),
    });
    this.engine = await opening;
  }

  /** The process dies. */
  async kill(losesDisk: boolean): Promise<void> {
    if (this.engine === null) return;
    this.engine = null;
    const log = this.log!;
    log.isCutOff = true;
    await log.membership?.leave();
    if (losesDisk) this.#disk = memoryDisk();
    else this.#database?.close();
  }

  /** It loses its place and goes on as if nothing had happened. */
  async cutOff(): Promise<void> {
    if (this.engine === null || this.log!.isCutOff) return;
    this.log!.isCutOff = true;
    await this.log!.membership?.leave();
  }

  /** It hears at last that it lost its partitions, and is started again. */
  async hear(): Promise<void> {
    if (this.engine === null || !this.log!.isCutOff) return;
    this.log!.listener!.lost(this.log!.membership!.assigned);
    await host.yield();
    await this.kill(false);
    await this.start();
  }

  async stop(): Promise<void> {
    const { engine } = this;
    if (engine === null || this.log!.isCutOff) return;
    this.engine = null;
    if (this.log!.next === "silent") this.log!.next = "done";
    await engine.stop(0).catch(() => {});
  }
}

interface In {
  readonly id: number;
  readonly v: number;
}

function appOf(partitions: number): App {
  const app = createApp("t", { errors: { retry: { attempts: 1_000, backOff: "10ms", backOffMax: "10ms" } } });
  const input = app.topic<string, In>("in", { partitions, watermarkDelay: "1s" });
  const stream = app.stream(input);
  const failed = new Set<number>();
  stream.groupByKey().window(tumbling("1h"), { emit: "update" }).aggregate({ n: count(), total: sum(({ v }) => v) }).map((
    { value, key },
  ) => [key, value.n, value.total]).to("running");
  stream.groupBy(({ v }) => `g${v % 3}`, { partitions: 2 }).window(tumbling("10s", { grace: "1h" })).aggregate({ n: count() }).map((
    { key, start, value },
  ) => [key, start, value.n]).to("closed");
  stream.map(async (value) => {
    await Promise.resolve();
    if (value.id % 5 === 0 && !failed.has(value.id)) {
      failed.add(value.id);
      throw new Error("not yet");
    }
    return value.id;
  }).to("ids");
  return app;
}

const member = fc.nat({ max: 2 });
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("send" as const), key: fc.nat({ max: 6 }), v: fc.nat({ max: 9 }) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("run" as const), rounds: fc.integer({ min: 1, max: 6 }), ms: fc.constantFrom(1, 15, 40) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("start" as const), member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("kill" as const), member, losesDisk: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stop" as const), member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cutOff" as const), member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("hear" as const), member }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("commit" as const), member, end: fc.constantFrom<CommitEnd>("refused", "unknown", "silent") }) },
);

test(`F01 F06 F12 F14 F15 F16 F26 what several workers write is what one would, whoever dies, seed ${SEED}`, async () => {
  const course = fc.record({ actions: fc.array(action, { minLength: 20, maxLength: 80 }), partitions: fc.constantFrom(1, 2, 4) });
  await fc.assert(
    fc.asyncProperty(course, async ({ actions, partitions }) => {
      const runtime = runtimeOf();
      const inner = memoryLog(runtime);
      const members = Array.from({ length: 3 }, () => new Member(appOf(partitions), runtime, inner));
      await members[0]!.start();
      const sent: (In & { readonly key: string })[] = [];
      const send = async (key: string, value: In, timestamp: number): Promise<void> => {
        const partition = Number(key.slice(1)) % partitions;
        await inner.append([{ topic: "in", partition, records: [{ key, value: JSON.stringify(value), timestamp: START + timestamp }] }]);
      };
      const run = async (rounds: number, ms: number): Promise<void> => {
        for (let i = 0; i < rounds; i++) {
          for (const { engine } of members) engine?.worker.step();
          runtime.advance(ms);
          await runtime.yield();
        }
      };
      for (const one of actions) {
        if (one.kind === "send") {
          const record = { id: sent.length, v: one.v, key: `k${one.key}` };
          sent.push(record);
          await send(record.key, { id: record.id, v: record.v }, record.id * 137 % 30_000);
        } else if (one.kind === "run") await run(one.rounds, one.ms);
        else {
          const who = members[one.member]!;
          if (one.kind === "start") await who.start();
          else if (one.kind === "kill") await who.kill(one.losesDisk);
          else if (one.kind === "stop") await who.stop();
          else if (one.kind === "cutOff") await who.cutOff();
          else if (one.kind === "hear") await who.hear();
          else if (who.log !== null) who.log.next = one.end;
        }
      }
      // One fresh worker drains it all.
      for (const each of members) await each.kill(true);
      const last = new Member(appOf(partitions), runtime, inner);
      members.push(last);
      await last.start();
      for (let partition = 0; partition < partitions; partition++) await send(`k${partition}`, { id: -1, v: 0 }, 80_000_000);
      await run(200, 25);
      expect(last.engine!.health()).toMatchObject({ status: "ok" });

      const keyed = Object.groupBy(sent, ({ key }) => key);
      const running = valuesOf(inner, "running") as [string, number, number][];
      for (const [key, records] of Object.entries(keyed)) {
        let total = 0;
        const wanted = records!.map(({ v }, index) => [key, index + 1, total += v]);
        expect(running.filter(([k]) => k === key).slice(0, wanted.length)).toEqual(wanted as [string, number, number][]);
      }
      expect(running.length).toBe(sent.length + partitions);
      const ids = (valuesOf(inner, "ids") as number[]).filter((id) => id >= 0);
      expect(ids.toSorted((a, b) => a - b)).toEqual(sent.map(({ id }) => id));
      const windows = new Map<string, number>();
      for (const { id, v } of sent) {
        const name = `g${v % 3} ${START + Math.floor(id * 137 % 30_000 / 10_000) * 10_000}`;
        windows.set(name, (windows.get(name) ?? 0) + 1);
      }
      const closed = (valuesOf(inner, "closed") as [string, number, number][]).filter(([, start]) => start < START + 40_000_000);
      expect(Object.fromEntries(closed.map(([key, start, n]) => [`${key} ${start}`, n]))).toEqual(Object.fromEntries(windows));
      expect(closed.length).toBe(windows.size);
      expect(recordsOf(inner, "in-dlq").length + recordsOf(inner, "in-late").length).toBe(0);
      await last.kill(true);
      await inner.close();
    }),
    { seed: SEED, numRuns: 25, endOnFailure: true },
  );
}, 120_000);
