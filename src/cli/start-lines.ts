/** What `millrace run` says when it is up: what runs, where its data lies, and what listens where. */
import type { Started } from "../app/app.ts";
import type { WorkerPlace } from "../app/worker-place.ts";

/** What is told besides. */
export interface StartOptions {
  readonly version: string;
  /** Queries and admin pages ask for a token. */
  readonly needsToken: boolean;
  /** Which worker it is, of how many. */
  readonly worker: WorkerPlace;
  /** As the system counts it; null where it was not told. */
  readonly processId: number | null;
}

/** The lines for people, one fact each. */
export function startLines(started: Started, { version, needsToken, worker, processId }: StartOptions): readonly string[] {
  const { url } = started;
  const facts: (readonly [name: string, fact: string])[] = [["log", started.log], ["state", started.place]];
  if (url === null) facts.push(["address", "none: it does not listen"]);
  else {
    for (const path of started.webhooks) facts.push(["webhook", `POST ${url}${path}`]);
    for (const entity of started.features) facts.push(["features", `${url}/features/${encodeURIComponent(entity)}/<key>`]);
    facts.push(["health", `${url}/admin/health`], ["topology", `${url}/admin/topology`], ["metrics", `${url}/metrics`]);
    if (needsToken) facts.push(["access", "all but webhooks needs the token: Authorization: Bearer <token>"]);
  }
  facts.push(["stop", "Ctrl-C or SIGTERM: what is in hand is finished and committed first"]);
  const which = `${worker.count === 1 ? "" : `, worker ${worker.index} of ${worker.count}`}${processId === null ? "" : `, process ${processId}`}`;
  return [`millrace ${version} runs "${started.app}" on ${started.runtime}${which}`, ...facts.map(([name, fact]) => `  ${name.padEnd(8)}  ${fact}`)];
}

/** The same as one line of JSON. */
export function startJson(started: Started, { version, needsToken, processId }: StartOptions): string {
  return JSON.stringify({ type: "started", version, ...started, needsToken, processId });
}
