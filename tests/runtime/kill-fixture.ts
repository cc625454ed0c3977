/**
 * The app that gets killed: each hit that comes in by webhook is counted by key in a window, copied to a topic in the same commit, and counted by id behind that topic and a repartition.
 * So a loss or a repetition anywhere between request and state shows as a wrong number in a feature.
 */
import * as v from "valibot";
import { type App, count, createApp, sum, tumbling } from "../../mod.ts";

const app: App = createApp("kill");

const hits = app.topic("hits", {
  value: v.object({ id: v.string(), account: v.string(), amount: v.number(), at: v.number() }),
  key: (hit) => hit.account,
  timestamp: (hit) => hit.at,
});

app.webhook("/hits", { topic: hits, verify: "none", headers: v.object({ "x-id": v.string() }), idempotencyKey: ({ headers }) => headers["x-id"] });

const account = app.features("account", { hits: v.number(), amount: v.number() });
const hit = app.features("hit", { times: v.number() });

app.stream(hits)
  .groupByKey()
  .window(tumbling("365d"), { emit: "update" })
  .aggregate({ hits: count(), amount: sum((hit) => hit.amount) })
  .map((all) => account.of(all.key, all.value))
  .to(account);

const seen = app.stream(hits).map(({ id, at }) => ({ id, at })).to("seen");

app.stream(seen)
  .groupBy(({ id }) => id)
  .window(tumbling("365d"), { emit: "update" })
  .aggregate({ times: count() })
  .map((all) => hit.of(all.key, all.value))
  .to(hit);

export default app;
