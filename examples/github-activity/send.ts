/**
 * Plays GitHub: posts its real webhooks to the app, and then checks that each one that was acknowledged counts exactly once.
 *
 *     GITHUB_WEBHOOK_SECRET=… node examples/github-activity/send.ts [--url http://127.0.0.1:8787] [--seconds 30] [--forever] [--seed 1]
 *
 * As on the real net, some deliveries come twice, some are tampered with, and some come late.
 */
import { randomUUID } from "node:crypto";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Delivery, loadExamples, makeDelivery, signedHeaders } from "./deliveries.ts";
import { type Before, featureLine, findDifferences, readFeatures, readLate, readToday } from "./features.ts";
import { type Kind, Ledger } from "./ledger.ts";

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:8787" },
    seconds: { type: "string", default: "30" },
    forever: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
  },
});

const url = options.url.replace(/\/$/, "");
const secret = process.env["GITHUB_WEBHOOK_SECRET"] ?? "";
if (secret === "") {
  console.error("Set GITHUB_WEBHOOK_SECRET to the secret the app was started with");
  process.exit(2);
}

/** How long a late delivery was on its way: longer than a window and its grace. */
const LATE_MS = 60_000;

const examples = shuffle(loadExamples(), Number(options.seed));
const repositories = new Set(examples.flatMap(({ payload }) => repositoryOf(payload)));
const before = await readBefore();
const ledger = new Ledger();
const stepMs = (Number(options.seconds) * 1000) / examples.length;

console.log(
  `Posting ${examples.length} real GitHub webhooks${
    options.forever ? ", over and over" : ` in about ${options.seconds} s`
  }: some twice, some tampered with, some late.\n`,
);

let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (isStopping = true));

const underWay = new Set<Promise<void>>();
const reporting = report();
await sendAll();
await Promise.all(underWay);
isStopping = true;
await reporting;
process.exitCode = await summarize();

async function readBefore(): Promise<Before> {
  try {
    return { today: await readToday(url, repositories), late: await readLate(url) };
  } catch (error) {
    console.error(`Cannot reach the app at ${url}: start it with millrace run, or name its address by --url (${String(error)})`);
    process.exit(1);
  }
}

async function sendAll(): Promise<void> {
  const recent: Delivery[] = [];
  const startedAt = performance.now();
  for (let count = 1; !isStopping && (options.forever || count <= examples.length); count++) {
    const example = examples[count % examples.length]!;
    const isLate = count % 23 === 0;
    const delivery = makeDelivery(example, randomUUID(), Date.now() - (isLate ? LATE_MS : 0));
    const kind = count % 29 === 0 ? "tampered" : isLate && delivery.happenedAt !== null ? "late" : "first";
    launch(delivery, kind);
    if (kind !== "tampered") recent.push(delivery);
    // GitHub, or whoever presses "Redeliver", sends an old one again.
    if (count % 11 === 0) launch(recent[Math.floor(recent.length / 2)]!, "repeated");
    if (recent.length > 40) recent.shift();
    await sleep(Math.max(0, startedAt + count * stepMs - performance.now()));
  }
}

/** A line of counts a second; now and then features of somebody who was busy. */
async function report(): Promise<void> {
  for (let second = 1; !isStopping; second++) {
    await sleep(1000);
    console.log(ledger.line());
    if (second % 3 !== 0) continue;
    const [entity, key] = second % 6 === 0
      ? ["person", "Codertocat"]
      : ["repository", ledger.newestDays[second % 9 === 0 ? 1 : 0]?.repository ?? "Codertocat/Hello-World"];
    console.log(featureLine(entity!, key!, await readFeatures(url, entity!, key!)));
  }
}

/** Says what came of it; 0 if all is as it must be. */
async function summarize(): Promise<number> {
  const differences = await findDifferences(url, before, ledger);
  console.log(`\n${ledger.line()}`);
  for (const { repository } of ledger.newestDays.slice(0, 3)) {
    console.log(featureLine("repository", repository, await readFeatures(url, "repository", repository)));
  }
  for (const difference of differences) console.log(`✗ ${difference}`);
  if (differences.length > 0 || ledger.unexpected > 0) return 1;
  console.log(`✓ ${ledger.counted} deliveries about ${ledger.newestDays.length} repositories were acknowledged, and each was counted exactly once.`);
  console.log(
    `✓ ${
      ledger.acknowledged - ledger.counted
    } about no repository were acknowledged and left out; ${ledger.late} came too late for their window and lie in "deliveries-late".`,
  );
  return 0;
}

function launch(delivery: Delivery, kind: Kind): void {
  const posting = post(delivery, kind).finally(() => underWay.delete(posting));
  underWay.add(posting);
}

/** Posts until there is an answer that no repetition would change: a sender that gives up loses what it was told to deliver. */
async function post(delivery: Delivery, kind: Kind): Promise<void> {
  const headers = await signedHeaders(delivery, secret);
  const body = kind === "tampered" ? delivery.body.replace(/"login":"[^"]*"/, '"login":"mallory"').concat(" ") : delivery.body;
  for (let attempt = 1; attempt <= 20; attempt++) {
    try {
      const response = await fetch(`${url}/hooks/github`, { method: "POST", headers, body });
      const answer: unknown = response.headers.get("content-type")?.includes("json") ? await response.json() : await response.text();
      ledger.answered(delivery, kind, response.status, answer);
      if (response.status !== 503 && response.status !== 429) return;
      await sleep(Number(response.headers.get("retry-after") ?? 1) * 1000);
    } catch {
      ledger.unanswered();
      await sleep(Math.min(2_000, 100 * 2 ** attempt));
    }
  }
}

function repositoryOf(payload: Readonly<Record<string, unknown>>): string[] {
  const { repository } = payload as { readonly repository?: { readonly full_name?: string } };
  return repository?.full_name === undefined ? [] : [repository.full_name];
}

/** The same order for the same seed: Fisher and Yates with a small generator. */
function shuffle<T>(items: readonly T[], seed: number): T[] {
  const shuffled = [...items];
  let state = seed >>> 0;
  for (let last = shuffled.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}
