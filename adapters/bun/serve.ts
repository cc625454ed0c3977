/** HTTP on Bun: `Bun.serve`. */
import type { ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { failedResponse, listenFailure, Serving } from "../shared/serving.ts";
import { bunGlobal, type BunServer } from "./global.ts";

/** Seconds without a byte after which a connection is given up. Bun's own 10 s would cut answers that wait for a resolver. */
const IDLE_TIMEOUT_S = 120;

/** Listens; resolves once connections are accepted (R6). */
export async function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const serving = new Serving(fetch);
  const server = listen();
  return {
    hostname,
    port: server.port ?? port,
    stop: (options) => serving.stop(options, { drain: () => server.stop(), force: () => void server.stop(true) }),
  };

  function listen(): BunServer {
    try {
      return bunGlobal.serve({
        hostname,
        port,
        idleTimeout: IDLE_TIMEOUT_S,
        development: false,
        // Outside of development Bun would let two servers share a port without a word.
        reusePort: false,
        fetch: (request, self) => serving.answer(request, self.requestIP(request)?.address),
        error: failedResponse,
      });
    } catch (cause) {
      throw listenFailure({ hostname, port }, cause);
    }
  }
}
