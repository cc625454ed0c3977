/**
 * Where operators' commands find the processes of an app: each that listens holds the lock `admin` in its directory, and the lock's facts, which its own user alone can read, say address and token.
 */
import { errorFacts, type Observer } from "../observe/events.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** A process that serves admin pages. */
export interface AdminPlace {
  /** The name of its app. */
  readonly app: string;
  readonly url: string;
  /** null: it asks for none. */
  readonly token: string | null;
  /** As the operating system counts it; 0 where it does not. */
  readonly processId: number;
}

const LOCK = "admin";
/** As many as one `millrace run` starts. */
const WORKERS_MAX = 64;

/** Says where this process is found, until the returned function is called. An app runs without it, too: what keeps it from being said is told as a warning. */
export function sayAdminPlace(runtime: Runtime, directory: string, { app, url, token }: Omit<AdminPlace, "processId">, observer: Observer): () => void {
  if (!runtime.capabilities.keepsFiles) return () => {};
  const missed = `Commands such as "millrace dlq" will not find this process by its directory "${directory}"; they do with --url ${reachable(url)}`;
  const release = orWarn(missed, observer, () => {
    const lock = runtime.disk(directory).lock(LOCK, { app, url: reachable(url), ...(token === null ? {} : { token }) });
    return () => orWarn("The lock of operators' commands could not be given up", observer, () => lock.release());
  });
  return release ?? (() => {});
}

function orWarn<T>(message: string, observer: Observer, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    observer({ type: "warning", message, error: errorFacts(error) });
    return undefined;
  }
}

/** The processes that run on a directory: one, or its workers. */
export function adminPlaces(runtime: Runtime, directory: string): readonly AdminPlace[] {
  if (!runtime.capabilities.keepsFiles) return [];
  const disk = runtime.disk(directory);
  const found: AdminPlace[] = [];
  for (let index = -1; index < WORKERS_MAX; index++) {
    const path = index === -1 ? LOCK : `worker-${index}/${LOCK}`;
    const holder = disk.lockHolder(path);
    const url = holder?.facts?.["url"];
    const app = holder?.facts?.["app"];
    if (holder !== null && url !== undefined && app !== undefined) {
      found.push({ app, url, token: holder.facts?.["token"] ?? null, processId: holder.processId });
    }
  }
  return found;
}

/** An address that stands for all of a machine's is none to ask. */
function reachable(url: string): string {
  return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}
