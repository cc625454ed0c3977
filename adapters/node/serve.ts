/** HTTP on Node: `node:http`, with Requests and Responses by `@hono/node-server`. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { IncomingMessage } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { ExternalError, messageOf } from "../../src/base/errors.ts";
import type { ServeOptions, Server } from "../../src/runtime/runtime.ts";

const DRAIN_MS = 5_000;

/** Listens; resolves once connections are accepted (R6). */
export function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const listener = getRequestListener(
    (request, env) => fetch(request, { remoteAddress: (env.incoming as IncomingMessage).socket.remoteAddress ?? null }),
    { overrideGlobalObjects: false },
  );
  const server = createServer(listener);
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new ExternalError("RUNTIME_UNSUPPORTED", `Cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, { cause })));
    server.listen(port, hostname, () => {
      const address = server.address() as AddressInfo;
      resolve({
        hostname,
        port: address.port,
        stop: ({ drainMs = DRAIN_MS } = {}) =>
          new Promise((stopped) => {
            const force = setTimeout(() => server.closeAllConnections(), drainMs);
            server.close(() => {
              clearTimeout(force);
              stopped();
            });
            server.closeIdleConnections();
          }),
      });
    });
  });
}
