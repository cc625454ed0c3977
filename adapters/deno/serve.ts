/** HTTP on Deno: `Deno.serve`. */
import type { ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { failedResponse, listenFailure, Serving } from "../shared/serving.ts";
import { denoGlobal } from "./global.ts";

/** Listens; resolves once connections are accepted (R6). */
export async function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const serving = new Serving(fetch);
  const abort = new AbortController();
  const underWay = new Set<Promise<void>>();
  let isShuttingDown = false;
  const server = listen();
  return {
    hostname,
    port: server.addr.port,
    stop: (options) => serving.stop(options, { drain, force }),
  };

  function listen(): ReturnType<typeof denoGlobal.serve> {
    try {
      return denoGlobal.serve({ hostname, port, signal: abort.signal, onListen: () => undefined, onError: failedResponse }, (request, info) => {
        if (!serving.isStopping) watch(info.completed);
        return serving.answer(request, info.remoteAddr.hostname);
      });
    } catch (cause) {
      throw listenFailure({ hostname, port }, cause);
    }
  }

  function watch(completed: Promise<void>): void {
    const done: Promise<void> = completed.catch(() => undefined).then(() => void underWay.delete(done));
    underWay.add(done);
  }

  // A server that shuts down can no longer be aborted, so the wait for answers under way comes first.
  async function drain(): Promise<void> {
    await Promise.all(underWay);
    isShuttingDown = true;
    await server.shutdown();
  }

  function force(): void {
    if (!isShuttingDown) abort.abort();
  }
}
