/** A handler whose promise never settles: health says which, on which record, and since when. */
import { expect, test } from "bun:test";
import { createApp } from "../../../mod.ts";
import { open } from "./harness.ts";

test("health() names the step and record of a handler that has not settled for 30 s, and is well again once it has", async () => {
  const app = createApp("stuck");
  const input = app.topic<string, number>("in");
  const release = Promise.withResolvers<number>();
  app.stream(input).map(() => release.promise).to("out");
  const stand = await open(app);
  await input.send(1, { key: "a" });
  await stand.settle();

  await stand.advance(29_000);
  expect(stand.engine.health().status).toBe("ok");
  await stand.advance(2_000);
  expect(stand.engine.health()).toMatchObject({
    status: "degraded",
    live: true,
    reason: 'step "in-map" has worked on record in-0@0 for 31 s: its promise has not settled',
  });

  release.resolve(1);
  await stand.drain();
  expect(stand.engine.health().status).toBe("ok");
  await stand.crash();
});
