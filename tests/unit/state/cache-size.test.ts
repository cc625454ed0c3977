/** What a store says of its memory: it grows with its values, and is nothing once they are given up. */
import { expect, test } from "bun:test";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { packRow, unpackRow } from "../../../src/state/row-bytes.ts";
import { EffectScope } from "../../../src/state/scope.ts";
import { StateStorage } from "../../../src/state/storage.ts";
import { StateStore } from "../../../src/state/store.ts";
import { hostRuntime } from "../../../adapters/host/host.ts";

test("cachedBytes counts values as large as they are, and comes back to 0 by evict(), and by drain() and a commit", async () => {
  const database = await openDatabase(await hostRuntime(), memoryDisk(), "cache.db");
  const storage = new StateStorage(database);
  const scope = new EffectScope();
  const store = new StateStore(storage, scope, { name: "s", fingerprint: "f", pack: packRow, unpack: unpackRow }, 0);
  const commit = (): void => {
    storage.transaction(() => store.flush());
    store.committed();
  };
  const fill = (time: number): void => {
    scope.begin();
    for (let i = 0; i < 100; i++) store.set(time, `key-${i}`, "x".repeat(1_000));
  };

  fill(0);
  commit();
  expect(store.cachedBytes).toBeGreaterThan(100_000);
  store.evict(0);
  expect(store.cachedBytes).toBe(0);

  expect(store.get(0, "key-7")).toBe("x".repeat(1_000));
  expect(store.cachedBytes).toBeGreaterThan(1_000);
  store.evict(0);
  fill(5);
  store.drain(0, () => true);
  commit();
  store.drain(5, () => true);
  commit();
  expect(store.cachedBytes).toBe(0);
  database.close();
});
