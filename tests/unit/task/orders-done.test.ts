/** What a task has done of retries and orders, over parts of an app that are put together otherwise. */
import { expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { OrdersDone, ordersStore } from "../../../src/task/orders-done.ts";
import { EffectScope } from "../../../src/state/scope.ts";
import { StateStorage } from "../../../src/state/storage.ts";
import { StateStore } from "../../../src/state/store.ts";
import { memoryDisk } from "../../../src/runtime/memory-disk.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";

const runtime = await hostRuntime();

test("a task that is new begins where the least of the former ones was, and knows what each of them did; later it goes by itself", async () => {
  const database = await openDatabase(runtime, memoryDisk(), "orders.db");
  const storage = new StateStorage(database), scope = new EffectScope();
  const store = (name: string): StateStore => {
    let opened: StateStore | null = null;
    storage.transaction(() => opened = new StateStore(storage, scope, ordersStore(name), 0));
    return opened!;
  };
  const formers = [store("a"), store("b")];
  const [one, two] = formers.map((former) => new OrdersDone(former, 0));
  one!.readTo = 40;
  two!.readTo = 7;
  expect([one!.isTaken("a", 39), two!.isTaken("b", 6), two!.isSought("b", 3)]).toEqual([false, false, false]);

  const both = new OrdersDone(store("a+b"), 0);
  both.adopt(formers);
  expect(both.readTo).toBe(7);
  expect([both.isTaken("a", 39), both.isTaken("a", 40), both.isTaken("b", 6), both.isSought("b", 3)]).toEqual([true, false, true, true]);

  both.readTo = 90;
  both.adopt(formers);
  expect(both.readTo).toBe(90);
  database.close();
});
