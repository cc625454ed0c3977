/**
 * What goes on in your GitHub repositories, live: webhooks in, features and windows of activity out.
 *
 *     GITHUB_WEBHOOK_SECRET=… millrace run examples/github-activity/app.ts
 *
 * and point a webhook of a repository (content type application/json, the same secret) at /hooks/github. `npm start` does both ends on this machine, with real payloads.
 */
import * as v from "valibot";
import { type App, count, createApp, env, github, skip, tumbling } from "millrace";
import { momentOf } from "./moment.ts";

export const app: App = createApp("github-activity");

// One topic for every kind of event. What they have in common is checked here; the payload stays unknown until somebody asks for more.
const Delivery = v.object({ event: v.string(), repository: v.string(), sender: v.string(), at: v.nullable(v.number()), payload: v.unknown() });

const deliveries = app.topic("deliveries", {
  value: Delivery,
  key: (delivery) => delivery.repository, // a repository's deliveries keep their order, and share state
  timestamp: (delivery, meta) => delivery.at ?? meta.timestamp, // when it happened; where GitHub doesn't say, when it came
});

// Signed by GitHub, or 401. Answered 202 once it is on disk. A delivery that GitHub repeats has the same X-GitHub-Delivery: it is answered, and not taken twice.
app.webhook("/hooks/github", {
  verify: github({ secret: env("GITHUB_WEBHOOK_SECRET") }),
  headers: v.object({ "x-github-event": v.string() }),
  body: v.looseObject({ repository: v.optional(v.looseObject({ full_name: v.string() })), sender: v.optional(v.looseObject({ login: v.string() })) }),
  topic: deliveries,
  map: ({ headers, body }) =>
    body.repository === undefined ? skip("not about a repository") : {
      event: headers["x-github-event"],
      repository: body.repository.full_name,
      sender: body.sender?.login ?? "ghost",
      at: momentOf(body),
      payload: body,
    },
});

// What we want to know, of whom. `GET /features/repository/Codertocat%2FHello-World` answers with all of it.
const repository = app.features("repository", { stars: v.number(), openIssues: v.number(), lastPush: v.string(), lastPull: v.string(), today: v.number() });
const person = app.features("person", { lastDid: v.string(), lastIn: v.string(), lastSaid: v.string() });

// A resolver takes one kind of event out of the stream: `parse` gives what fits its schema and skips the rest. The handler gets exactly that, typed.
const Push = v.object({
  event: v.literal("push"),
  repository: v.string(),
  payload: v.object({ ref: v.string(), head_commit: v.nullable(v.object({ message: v.string() })) }),
});

app.resolver(
  "pushes",
  { source: deliveries, parse: only(Push), output: repository.pick("lastPush") },
  (push) => repository.of(push.repository, { lastPush: push.payload.head_commit?.message ?? `removed ${push.payload.ref}` }),
);

const Pull = v.object({
  event: v.literal("pull_request"),
  repository: v.string(),
  payload: v.object({ action: v.string(), pull_request: v.object({ number: v.number(), title: v.string() }) }),
});

app.resolver(
  "pull requests",
  { source: deliveries, parse: only(Pull), output: repository.pick("lastPull") },
  ({ repository: name, payload: { action, pull_request: pull } }) => repository.of(name, { lastPull: `#${pull.number} ${action}: ${pull.title}` }),
);

const Counters = v.object({
  repository: v.string(),
  payload: v.object({ repository: v.object({ stargazers_count: v.number(), open_issues_count: v.number() }) }),
});

app.resolver(
  "counters",
  { source: deliveries, parse: only(Counters), output: repository.pick("stars", "openIssues") },
  (it) => repository.of(it.repository, { stars: it.payload.repository.stargazers_count, openIssues: it.payload.repository.open_issues_count }),
);

// Rows of another key than the record's are fine: they travel to the task that owns the key.
const Comment = v.object({
  event: v.picklist(["issue_comment", "commit_comment", "pull_request_review_comment"]),
  sender: v.string(),
  payload: v.object({ comment: v.object({ body: v.string() }) }),
});

app.resolver(
  "comments",
  { source: deliveries, parse: only(Comment), output: person.pick("lastSaid") },
  (it) => person.of(it.sender, { lastSaid: it.payload.comment.body }),
);

app.resolver(
  "people",
  { source: deliveries, output: person.pick("lastDid", "lastIn") },
  (it) => person.of(it.sender, { lastDid: it.event, lastIn: it.repository }),
);

// Activity in windows of event time, each said once, when it is over. What comes after that goes to the topic `deliveries-late`.
const activity = app.stream(deliveries)
  .groupByKey()
  .window(tumbling("5s", { grace: "5s" }))
  .aggregate({
    deliveries: count(),
    pushes: count((it) => it.event === "push"),
    pulls: count((it) => it.event.startsWith("pull_request")),
    issues: count((it) => it.event.startsWith("issue")),
  });

activity.to("activity");
activity.forEach(({ key, start, end, value: seen }) =>
  console.log(`  window ${time(start)}–${time(end)}  ${key}: ${Object.entries(seen).map(([what, times]) => `${what} ${times}`).join(" · ")}`)
);

// The same in one big window that speaks at each change, and becomes a feature.
app.stream(deliveries)
  .groupByKey()
  .window(tumbling("1d", { grace: "1d" }), { emit: "update" })
  .aggregate({ deliveries: count() })
  .map((day) => repository.of(day.key, { today: day.value.deliveries }))
  .to(repository);

/** A parser by schema: what fits, or null. */
function only<T>(schema: v.GenericSchema<unknown, T>) {
  return (value: unknown): T | null => {
    const result = v.safeParse(schema, value);
    return result.success ? result.output : null;
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

if (import.meta.main) await app.run({ port: 8787 });
