/** `for await` over a stream: the loop sets the pace, and a record is done with when the next one is asked for. */
import { expect, test } from "bun:test";
import { createApp } from "../../../mod.ts";
import type { App, Topic } from "../../../mod.ts";
import { open } from "../task/harness.ts";
import type { Stand } from "../task/harness.ts";

function setUp(): { readonly app: App; readonly input: Topic<string, number, number>; readonly iterator: AsyncIterator<number> } {
  const app = createApp("t");
  const input = app.topic<string, number>("in");
  return { app, input, iterator: app.stream(input)[Symbol.asyncIterator]() };
}

async function position(stand: Stand): Promise<number | undefined> {
  return (await stand.log.committed("t", [{ topic: "in", partition: 0 }]))[0]?.position;
}

test("FA-51 each record is under way until the next is asked for: a crash before that gives it again", async () => {
  const { app, input, iterator } = setUp();
  const stand = await open(app);
  for (const v of [1, 2, 3]) await input.send(v, { key: `k${v}` });

  const first = iterator.next();
  await stand.settle();
  const one = await first;
  await stand.engine.worker.commit();
  await stand.restart();
  const second = iterator.next();
  await stand.settle();
  const again = await second;
  const third = iterator.next();
  await stand.settle();
  const two = await third;
  const fourth = iterator.next();
  await stand.drain();

  expect([one.value, again.value, two.value, (await fourth).value]).toEqual([1, 1, 2, 3]);
  await stand.crash();
});

test("nothing is taken beyond the record under way: the loop sets the pace", async () => {
  const { app, input, iterator } = setUp();
  const stand = await open(app);
  for (let v = 0; v < 100; v++) await input.send(v, { key: `k${v}` });

  void iterator.next();
  await stand.settle();
  await stand.engine.worker.commit();

  expect([await position(stand), stand.engine.worker.tasks[0]!.unresolved.size]).toEqual([1, 1]);
  await stand.crash();
});

test("a loop that ends finishes its record; later ones pass it by", async () => {
  const app = createApp("t");
  const input = app.topic<string, number>("in");
  const seen: number[] = [];
  const stream = app.stream(input);
  const loop = (async () => {
    for await (const value of stream) {
      seen.push(value);
      if (value === 2) break;
    }
  })();
  const stand = await open(app);
  for (const v of [1, 2, 3, 4]) await input.send(v, { key: "a" });
  await stand.settle();
  await loop;
  await stand.drain();

  expect([seen, await position(stand)]).toEqual([[1, 2], 4]);
  await stand.crash();
});

test("tombstones are not handed to a loop", async () => {
  const { app, input, iterator } = setUp();
  const stand = await open(app);
  await input.delete("a");
  await input.send(7, { key: "a" });

  const next = iterator.next();
  await stand.settle();

  expect((await next).value).toBe(7);
  await stand.crash();
});
