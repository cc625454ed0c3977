/** The changelog of state: what is said in it, compacted or not, gives the rows that are in the database. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { isStreamError } from "../../../src/base/errors.ts";
import { RecordCursor } from "../../../src/record/cursor.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import { packValue, unpackValue } from "../../../src/record/value-bytes.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import type { Database } from "../../../src/sqlite/database.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { ChangelogReader, ChangelogWriter } from "../../../src/state/changelog.ts";
import { EffectScope } from "../../../src/state/scope.ts";
import { StateStorage } from "../../../src/state/storage.ts";
import type { StoreSpec } from "../../../src/state/storage.ts";
import { StateStore } from "../../../src/state/store.ts";
import { TaskChangelog } from "../../../src/task/task-changelog.ts";

const SEED = 20_261_121;
const TOPIC = "app-in-changelog";
const runtime = await hostRuntime();

function spec(name: string): StoreSpec {
  return { name, fingerprint: `kind of ${name}`, pack: packValue, unpack: unpackValue };
}

async function fresh(): Promise<{ readonly database: Database; readonly storage: StateStorage }> {
  const database = await openDatabase(runtime, memoryDisk(), "state.db");
  return { database, storage: new StateStorage(database) };
}

/** All rows, with the stores' names and fingerprints. */
function rowsOf(database: Database): string[] {
  const statement = database.prepare(
    "SELECT store || '/' || part || '/' || fingerprint || '/' || time || '/' || hex(key) || '/' || hex(value) FROM state JOIN spaces ON id = space ORDER BY store, part, time, key",
  );
  const rows: string[] = [];
  while (statement.step()) rows.push(statement.text(0));
  statement.finalize();
  return rows;
}

interface Said {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

function recordsOf(encoder: BatchEncoder): Said[] {
  const bytes = encoder.seal(0).slice();
  const cursor = new RecordCursor();
  cursor.open(bytes, 0, bytes.length, 0);
  const found: Said[] = [];
  while (cursor.next()) found.push({ key: cursor.keyBytes()!.slice(), value: cursor.valueBytes()?.slice() ?? null });
  return found;
}

/** The last record of each key alone; tombstones as well, for they stay for a while. */
function compacted(records: readonly Said[]): Said[] {
  const last = new Map(records.map((record, index) => [toHex(record.key), index]));
  return records.filter(({ key }, index) => last.get(toHex(key)) === index);
}

async function replayed(records: readonly Said[], isCurrent: ((topic: string) => boolean) | null = null): Promise<string[]> {
  const { database, storage } = await fresh();
  const encoder = new BatchEncoder();
  for (const { key, value } of records) encoder.append(1, key, value, null);
  const bytes = encoder.seal(0);
  const cursor = new RecordCursor();
  cursor.open(bytes, 0, bytes.length, 0);
  const reader = new ChangelogReader(storage, TOPIC, 3, isCurrent);
  storage.transaction(() => {
    while (cursor.next()) reader.apply(cursor);
    reader.end();
  });
  const rows = rowsOf(database);
  database.close();
  return rows;
}

const KEYS = ["", "a", "b", "__proto__", "\0", "é\u{1f600}", "x".repeat(300)] as const;
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("set" as const),
      store: fc.constantFrom(0, 1),
      time: fc.constantFrom(-5, 0, 1, 1.7e12),
      key: fc.constantFrom(...KEYS),
      value: fc.option(fc.nat({ max: 99 }), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const), store: fc.constantFrom(0, 1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict" as const) }) },
);

test(`F14 F16 what is said of state gives its rows back, also compacted, seed ${SEED}`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
      const { database, storage } = await fresh();
      const scope = new EffectScope();
      let stores!: StateStore[];
      storage.transaction(() => stores = ["one", "two"].map((name) => new StateStore(storage, scope, spec(name), 3)));
      const changelog = new TaskChangelog(storage, TOPIC, 3, stores);
      const said: Said[] = [];
      const commit = (): void => {
        const [batch] = changelog.say(stores, 1_000);
        if (batch === undefined) return;
        said.push(...recordsOf(batch.encoder));
        storage.transaction(() => changelog.apply(said.length, 2_000));
        for (const store of stores) store.committed();
        changelog.committed();
        expect(storage.checkpoint(TOPIC, 3)).toEqual({ position: said.length, savedAt: 2_000 });
      };
      for (const one of operations) {
        scope.begin();
        if (one.kind === "set") stores[one.store]!.set(one.time, one.key, one.value);
        else if (one.kind === "commit") commit();
        else if (one.kind === "evict") stores.forEach((store) => store.evict(0));
        else {
          const store = stores[one.store]!;
          if (store.nextTime !== Infinity) store.drain(store.nextTime, () => true);
        }
      }
      commit();

      const rows = rowsOf(database);
      expect(await replayed(said)).toEqual(rows);
      expect(await replayed(compacted(said))).toEqual(rows);
      database.close();
    }),
    { seed: SEED, numRuns: 40 },
  );
});

test("F31 a store that is said again counts from there: what it was before, compacted or not, is gone", async () => {
  const encoder = new BatchEncoder();
  const writer = new ChangelogWriter(encoder);
  writer.name(7, "n");
  for (const [keys, value] of [["ab", 1], ["a", 2]] as const) {
    writer.space("n", "kind");
    for (const key of keys) writer.put(7, 0, key, new Uint8Array([value]));
  }
  const said = recordsOf(encoder);

  expect(await replayed(said)).toEqual(["n/3/kind/0/61/02"]);
  expect(await replayed(compacted(said))).toEqual(["n/3/kind/0/61/02"]);
});

test("F31 a changelog that is written no more gives the stores that no other has; of two that both have one nobody knows which is newer", async () => {
  const { database, storage } = await fresh();
  const encoder = new BatchEncoder();
  const writer = new ChangelogWriter(encoder);
  for (const [space, store] of ["here", "elsewhere"].entries()) {
    writer.name(space, store);
    writer.space(store, "kind");
    writer.put(space, 0, "k", new Uint8Array([1]));
  }
  const bytes = encoder.seal(0);
  const read = (topic: string): void => {
    const cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);
    const reader = new ChangelogReader(storage, topic, 3, (name) => name === "new");
    storage.transaction(() => {
      while (cursor.next()) reader.apply(cursor);
      reader.end();
    });
  };
  storage.restoreSpace("elsewhere", 3, "kind", "new");
  storage.put(storage.findSpace("elsewhere", 3)!, 0, "k", new Uint8Array([2]));

  read("old");
  expect(rowsOf(database)).toEqual(["elsewhere/3/kind/0/6B/02", "here/3/kind/0/6B/01"]);
  expect(() => read("older")).toThrow('store "here": it is in changelogs "older" and "old", of which the app writes neither any more');
  expect(rowsOf(database)).toEqual(["elsewhere/3/kind/0/6B/02", "here/3/kind/0/6B/01"]);
  database.close();
});

test("F31 a store that went to another changelog is told of where it is missed; in one that is written no more it is left out, also when compaction took word of it", async () => {
  const encoder = new BatchEncoder();
  const writer = new ChangelogWriter(encoder);
  writer.name(7, "n");
  writer.space("n", "kind");
  writer.put(7, 0, "k", new Uint8Array([1]));
  writer.space("n", null);
  const said = recordsOf(encoder);

  for (const [records, failure] of [[said, "STORE_INCOMPATIBLE"], [compacted(said), "STORE_INCOMPATIBLE"], [said.slice(1, 2), "STORE_CORRUPT"]] as const) {
    expect(await replayed(records).then(() => null, (error: unknown) => isStreamError(error) ? error.code : error)).toBe(failure);
    expect(await replayed(records, () => false)).toEqual([]);
  }
});

test("a record of a changelog lies as it did: version, kind, store, time, key", () => {
  const encoder = new BatchEncoder();
  const writer = new ChangelogWriter(encoder);
  writer.name(7, "né");
  writer.space("né", "window 10");
  writer.put(7, 1_767_225_600_000, "k", new Uint8Array([1, 2]));
  writer.delete(7, -1, "k");

  expect(recordsOf(encoder).map(({ key, value }) => [toHex(key), value === null ? null : toHex(value)])).toEqual([
    ["01006ec3a9", "77696e646f77203130"],
    ["010100036ec3a94279b76daa8000006b", "0102"],
    ["010100036ec3a9bff00000000000006b", null],
  ]);
});

test("a record of a newer version is refused, as are rows of a store that the changelog does not tell of", async () => {
  const { database, storage } = await fresh();
  const apply = (key: readonly number[]): unknown => {
    const encoder = new BatchEncoder();
    encoder.append(1, new Uint8Array(key), new Uint8Array([1]), null);
    const bytes = encoder.seal(0), cursor = new RecordCursor();
    cursor.open(bytes, 0, bytes.length, 0);
    cursor.next();
    try {
      const reader = new ChangelogReader(storage, TOPIC, 3);
      reader.apply(cursor);
      reader.end();
      return null;
    } catch (error) {
      return isStreamError(error) ? [error.code, error.message] : error;
    }
  };
  const row = [1, 1, 0, 1, 97, 0, 0, 0, 0, 0, 0, 0, 0, 98];

  expect(apply([2, ...row.slice(1)])).toEqual([
    "STORE_NEWER",
    'Cannot restore from "app-in-changelog" partition 3: the record at position 0 has a format this version does not know, wanted 1',
  ]);
  expect(apply([1])).toEqual(["STORE_NEWER", expect.any(String)]);
  expect(apply(row)).toEqual(["STORE_CORRUPT", 'Cannot restore from "app-in-changelog" partition 3: it has rows of store "a", but not what that is']);
  database.close();
});
