/** Stores and effect scopes against a model of plain maps: random records that succeed, fail or are still under way, commits, evictions, closings, and reopening without what was not committed. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { packValue, unpackValue } from "../../../src/record/value-bytes.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { EffectScope } from "../../../src/state/scope.ts";
import type { Overlay } from "../../../src/state/scope.ts";
import { StateStorage } from "../../../src/state/storage.ts";
import type { StoreSpec } from "../../../src/state/storage.ts";
import { StateStore } from "../../../src/state/store.ts";

const SEED = 20_261_120;
const TIMES = [-5, 0, 1, 7] as const;
const KEYS = ["", "a", "b", "__proto__", "\0", "é\u{1f600}"] as const;
const SPEC: StoreSpec = { name: "store", fingerprint: "f", pack: packValue, unpack: unpackValue };

const time = fc.constantFrom(...TIMES);
const key = fc.constantFrom(...KEYS);
const write = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), time, key, value: fc.option(fc.nat({ max: 99 }), { nil: undefined }) }),
  fc.record({ kind: fc.constant("update" as const), time, key }),
  fc.record({ kind: fc.constant("get" as const), time, key }),
);
const writes = fc.array(write, { maxLength: 5 });
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("record" as const), writes, fails: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("suspend" as const), writes, more: writes }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("resume" as const), writes, fails: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("failedCommit" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("evict" as const), epochs: fc.constantFrom(0, 1, 16) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("drain" as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;

/** `time\nkey` → value. */
type Model = Map<string, number>;

const runtime = await hostRuntime();

/** A store and what it should hold. */
class Checked {
  readonly #disk = memoryDisk();
  #storage!: StateStorage;
  #close: () => void = () => {};
  #scope!: EffectScope;
  #store!: StateStore;
  #model: Model = new Map();
  #committed: Model = new Map();
  /** The one record that is under way: two would not be applied in the order in which they began. */
  #overlay: { readonly overlay: Overlay; readonly model: Model } | null = null;

  async open(): Promise<void> {
    const database = await openDatabase(runtime, this.#disk, "state.db");
    this.#close = () => database.close();
    this.#storage = new StateStorage(database);
    this.#scope = new EffectScope();
    this.#storage.transaction(() => this.#store = new StateStore(this.#storage, this.#scope, SPEC, 0));
    this.#overlay = null;
    this.#model = new Map(this.#committed);
  }

  close(): void {
    this.#close();
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case "record": {
        this.#scope.begin();
        const before = new Map(this.#model);
        this.#write(operation.writes, this.#model);
        if (!operation.fails) break;
        this.#scope.undo();
        this.#model = before;
        break;
      }
      case "suspend": {
        if (this.#overlay !== null) break;
        this.#scope.begin();
        const model = new Map(this.#model);
        this.#write(operation.writes, model);
        const overlay = this.#scope.detach();
        this.#overlay = { overlay, model: changesOf(this.#model, model) };
        this.#inOverlay(operation.more);
        break;
      }
      case "resume": {
        const { overlay } = this.#overlay ?? {};
        if (overlay === undefined) break;
        this.#inOverlay(operation.writes);
        if (operation.fails) this.#scope.drop(overlay);
        else {
          this.#scope.begin();
          this.#scope.apply(overlay);
          this.#model = applied(this.#model, this.#overlay!.model);
        }
        this.#overlay = null;
        break;
      }
      case "commit":
        this.#storage.transaction(() => void this.#store.flush());
        this.#store.committed();
        this.#committed = new Map(this.#model);
        break;
      case "failedCommit":
        expect(() =>
          this.#storage.transaction(() => {
            this.#store.flush();
            throw new Error("refused");
          })
        ).toThrow("refused");
        await this.run({ kind: "reopen" });
        break;
      case "evict":
        this.#store.evict(operation.epochs);
        break;
      case "drain":
        this.#drain(operation.count);
        break;
      case "reopen":
        this.close();
        await this.open();
        break;
    }
    this.#check();
  }

  #write(writes: readonly Write[], model: Model): void {
    for (const one of writes) {
      const at = `${one.time}\n${one.key}`;
      if (one.kind === "get") expect(this.#store.get(one.time, one.key)).toBe(model.get(at));
      else if (one.kind === "update") {
        this.#store.update(one.time, one.key, (kept) => {
          expect(kept).toBe(model.get(at));
          return ((kept as number | undefined) ?? 0) + 1;
        });
        model.set(at, (model.get(at) ?? 0) + 1);
      } else {
        this.#store.set(one.time, one.key, one.value);
        if (one.value === undefined) model.delete(at);
        else model.set(at, one.value);
      }
    }
  }

  /** What is under way sees its own writes over those of all that are done; nobody else sees them. */
  #inOverlay(writes: readonly Write[]): void {
    const { overlay, model } = this.#overlay!;
    this.#scope.begin();
    this.#scope.enter(overlay);
    const seen = applied(this.#model, model);
    const before = new Map(seen);
    this.#write(writes, seen);
    this.#scope.enter(null);
    this.#overlay = { overlay, model: new Map([...model, ...changesOf(before, seen)]) };
  }

  /** The earliest time is closed as far as the budget goes; never under a record that is under way, as the engine's clock sees to. */
  #drain(count: number): void {
    const first = this.#store.nextTime;
    const live = [...this.#model.keys()].map((at) => Number(at.split("\n", 1)[0]));
    expect(first).toBeLessThanOrEqual(live.length === 0 ? Infinity : Math.min(...live));
    if (first === Infinity || this.#overlay !== null) return;
    const left = () => [...this.#model.keys()].filter((at) => at.startsWith(`${first}\n`));
    const wanted = left().length;
    let visited = 0;
    const isDone = this.#store.drain(first, (key, value) => {
      this.#scope.begin();
      expect(value).toBe(this.#model.get(`${first}\n${key}`));
      this.#model.delete(`${first}\n${key}`);
      return ++visited < count;
    });
    expect(visited).toBe(Math.min(count, wanted));
    if (isDone) expect(left()).toEqual([]);
  }

  #check(): void {
    for (const time of TIMES) for (const key of KEYS) expect(this.#store.get(time, key)).toBe(this.#model.get(`${time}\n${key}`));
    const all = [...this.#store.all()].map(([key, value]): [string, unknown] => [`0\n${key}`, value]);
    expect(new Map(all)).toEqual(new Map([...this.#model].filter(([at]) => at.startsWith("0\n"))));
    expect(this.#store.cachedBytes).toBeGreaterThanOrEqual(0);
  }
}

/** Deletions are NaN. */
function changesOf(before: Model, after: Model): Model {
  const changes: Model = new Map();
  for (const [at, value] of after) if (before.get(at) !== value) changes.set(at, value);
  for (const at of before.keys()) if (!after.has(at)) changes.set(at, NaN);
  return changes;
}

function applied(model: Model, changes: Model): Model {
  const result = new Map(model);
  for (const [at, value] of changes) {
    if (Number.isNaN(value)) result.delete(at);
    else result.set(at, value);
  }
  return result;
}

test(`StateStore and EffectScope hold what a model holds, seed ${SEED}`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
      const checked = new Checked();
      await checked.open();
      for (const one of operations) await checked.run(one);
      checked.close();
    }),
    { seed: SEED, numRuns: 100, endOnFailure: true },
  );
});

test("StateStore drain() goes through a bucket larger than it reads at once, in parts, over evictions and reopening", async () => {
  const keys = Array.from({ length: 1_300 }, (_, index) => `key ${String(index).padStart(5, "0")}`);
  const database = await openDatabase(runtime, memoryDisk(), "state.db");
  const storage = new StateStorage(database);
  let store!: StateStore;
  const reopen = (): void => storage.transaction(() => store = new StateStore(storage, new EffectScope(), SPEC, 0));
  const commit = (): void => {
    storage.transaction(() => void store.flush());
    store.committed();
  };
  reopen();
  for (const key of keys) store.set(10, key, key.length);
  commit();
  store.evict(0);

  const seen: string[] = [];
  for (let round = 0, isDone = false; !isDone; round++) {
    isDone = store.drain(10, (key) => seen.push(key) % 100 !== 0);
    if (round % 2 === 0) commit();
    if (round % 3 === 0) store.evict(0);
    if (round === 4) {
      commit();
      reopen();
    }
  }
  commit();

  expect(seen.toSorted()).toEqual(keys);
  expect([store.nextTime, storage.has(storage.space(SPEC, 0), 10)]).toEqual([Infinity, false]);
  database.close();
});

test("EffectScope keeps the entries of a record under way in the cache: what it writes is read when it is done, over commits and evictions", async () => {
  const database = await openDatabase(runtime, memoryDisk(), "state.db");
  const storage = new StateStorage(database);
  const scope = new EffectScope();
  let store!: StateStore;
  storage.transaction(() => store = new StateStore(storage, scope, SPEC, 0));
  const commit = (): void => {
    storage.transaction(() => void store.flush());
    store.committed();
    store.evict(0);
  };
  for (const key of ["before", "after"]) store.set(0, key, 1);
  commit();

  scope.begin();
  store.set(0, "before", 2);
  const overlay = scope.detach();
  scope.enter(overlay);
  store.set(0, "after", 2);
  store.set(0, "new", 2);
  scope.enter(null);
  commit();
  const during = ["before", "after", "new"].map((key) => store.get(0, key));
  commit();
  scope.begin();
  scope.apply(overlay);
  const done = ["before", "after", "new"].map((key) => store.get(0, key));
  commit();

  expect([during, done, store.cachedBytes]).toEqual([[1, 1, undefined], [2, 2, 2], 0]);
  expect(["before", "after", "new"].map((key) => store.get(0, key))).toEqual([2, 2, 2]);
  database.close();
});
