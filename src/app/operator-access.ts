/** What operators reach of an app that does not run: its log and its admin pages, opened in this process. Nobody works on its tasks; what is ordered is done when the app runs. */
import { DefinitionError, ExternalError } from "../base/errors.ts";
import type { HttpHost } from "../http/host.ts";
import { withIngestTopics } from "../http/ingest/ingest-topic.ts";
import { httpApp } from "../http/server.ts";
import { LetterDesk } from "../letter/letter-desk.ts";
import type { LogDriver } from "../log/driver.ts";
import type { Log } from "../log/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { ControlDesk } from "../task/control-desk.ts";
import { topicSpecs } from "../task/topic-specs.ts";
import { describeTopology, mermaidOf } from "../topology/describe.ts";
import type { Topology } from "../topology/topology.ts";
import { copyLog } from "./backup.ts";
import type { EngineOptions } from "./engine.ts";
import { version } from "./version.ts";

/** The admin pages of an app that does not run. */
export interface OperatorAccess {
  /** Where its records lie, for people. */
  readonly place: string;
  /** Answers like the app's own pages. */
  readonly fetch: (request: Request) => Promise<Response>;
  close(): Promise<void>;
}

const NOBODY = "no process of the app runs";

/** Opens them. Rejects with `DISK_LOCKED` where a process works on the log, with a DefinitionError `CONFIG_INVALID` where there is none. */
export async function openForOperator(
  { topology: defined, runtime, driver, directory, webhooks }: Pick<EngineOptions, "topology" | "runtime" | "driver" | "directory" | "webhooks">,
): Promise<OperatorAccess> {
  checkExists(defined.app, driver, runtime, directory);
  const { log, database, place } = await driver.open({ app: defined.app, runtime, directory, report: () => {} });
  const close = async (): Promise<void> => {
    database?.close();
    await log.close();
  };
  try {
    const topology = log.capabilities.deduplicates ? defined : withIngestTopics(defined, webhooks, (topic) => log.partitionsOf(topic), () => {}).topology;
    await log.ensureTopics(topicSpecs({ topology, log, hasChangelogs: false }));
    const http = httpApp(hostOf(topology, log, runtime));
    return { place, fetch: (request) => http.fetch(request), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A log of its own that is not there would be made, and found empty: an answer to another question. */
function checkExists(app: string, driver: LogDriver, runtime: Runtime, directory: string): void {
  if (driver.isOneProcess !== true || runtime.disk(directory).list().length > 0) return;
  const message = `Cannot open the ${
    driver["~log"]
  } log of app "${app}" in ${directory}: nothing is there, the app has not run in it. Name the directory with --dir, or a running app with --url`;
  throw new DefinitionError(message, { code: "CONFIG_INVALID" });
}

function hostOf(topology: Topology, log: Log, runtime: Runtime): HttpHost {
  const refuse = async (): Promise<never> => {
    throw new ExternalError("LOG_CLOSED", `Cannot do this: ${NOBODY}`);
  };
  const describe = (): ReturnType<typeof describeTopology> => describeTopology(topology, (topic) => log.partitionsOf(topic));
  return {
    name: topology.app,
    version,
    runtime,
    webhooks: [],
    append: refuse,
    query: refuse,
    health: async () => ({ status: "stopped", reason: NOBODY, live: false, ready: false, tasks: [] }),
    topology: describe,
    mermaid: () => mermaidOf(describe()),
    metrics: new Metrics(),
    letters: new LetterDesk({ topology, log, runtime }),
    control: new ControlDesk({ topology, log, runtime, worker: null }),
    copy: (signal) => copyLog(log, topology.app, signal),
    admin: { token: null, isLoopback: true },
    log: () => {},
  };
}
