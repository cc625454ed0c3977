/** Reads the app's features over HTTP, the way a client does: to show them, and to hold them against the sender's book. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Ledger } from "./ledger.ts";

/** What the app knows of somebody or something; null: nothing yet. */
export type Features = Readonly<Record<string, string | number | null>>;

/** Asks for the features of one key. */
export async function readFeatures(url: string, entity: string, key: string): Promise<Features> {
  const response = await fetch(`${url}/features/${entity}/${encodeURIComponent(key)}`);
  if (!response.ok) throw new Error(`GET ${response.url} was answered ${response.status}: ${await response.text()}`);
  return await response.json() as Features;
}

/** How many deliveries of today the app has counted already, by repository. */
export async function readToday(url: string, repositories: Iterable<string>): Promise<ReadonlyMap<string, number>> {
  const today = new Map<string, number>();
  for (const repository of repositories) today.set(repository, Number((await readFeatures(url, "repository", repository))["today"] ?? 0));
  return today;
}

/** How many records the app has found too late for a window. */
export async function readLate(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^millrace_records_late_total (\d+)$/m.exec(metrics)?.[1] ?? Number.NaN);
}

/** One line for people: what is known, and nothing of what is not. */
export function featureLine(entity: string, key: string, features: Features): string {
  const known = Object.entries(features).flatMap((
    [name, value],
  ) => (value === null ? [] : `${name} ${typeof value === "string" ? JSON.stringify(shorten(value)) : value}`));
  return `       ${entity} ${key}: ${known.join(" · ")}`;
}

/** How long the last commits may take after the last answer. */
const SETTLE_MS = 10_000;

/** What the app had counted before the sender began. */
export interface Before {
  readonly today: ReadonlyMap<string, number>;
  readonly late: number;
}

/** Waits until each repository's `today` has grown by what was acknowledged, and the late by what was sent late; the differences that stay are returned, one sentence each. */
export async function findDifferences(url: string, before: Before, ledger: Ledger): Promise<readonly string[]> {
  for (let waitedMs = 0;; waitedMs += 200) {
    const differences: string[] = [];
    for (const { repository, count } of ledger.newestDays) {
      const seen = Number((await readFeatures(url, "repository", repository))["today"] ?? 0) - (before.today.get(repository) ?? 0);
      if (seen !== count) differences.push(`${repository}: ${count} acknowledged, ${seen} counted`);
    }
    const late = await readLate(url) - before.late;
    if (late !== ledger.late) differences.push(`too late for their window: ${ledger.late} sent, ${late} found`);
    if (differences.length === 0 || waitedMs >= SETTLE_MS) return differences;
    await sleep(200);
  }
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 48 ? line : `${line.slice(0, 47)}…`;
}
