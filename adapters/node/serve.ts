/** HTTP on Node: `node:http`, with Requests and Responses by `@hono/node-server`. */
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { ServeOptions, Server } from "../../src/runtime/runtime.ts";
import { failedResponse, listenFailure, Serving } from "../shared/serving.ts";

/** A client that sends its headers more slowly holds a connection for nothing. */
const HEADERS_TIMEOUT_MS = 15_000;

/** The same for the whole request. */
const REQUEST_TIMEOUT_MS = 120_000;

/** Listens; resolves once connections are accepted (R6). */
export function serve({ fetch, hostname, port }: ServeOptions): Promise<Server> {
  const serving = new Serving(fetch);
  const listener = getRequestListener((request, env) => serving.answer(request, (env.incoming as IncomingMessage).socket.remoteAddress), {
    overrideGlobalObjects: false,
    // Without it the library writes what a broken body stream threw to the console. A request without a usable Host is the client's fault.
    errorHandler: (error) => error instanceof Error && error.name === "RequestError" ? new Response(null, { status: 400 }) : failedResponse(),
  });
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }, listener);
  let isStopping = false;
  server.on("request", (_request, response) => {
    // `close()` ends idle connections at once, but not those that become idle later.
    response.once("close", () => {
      if (isStopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(listenFailure({ hostname, port }, cause)));
    server.listen(port, hostname, () => {
      resolve({
        hostname,
        port: (server.address() as AddressInfo).port,
        stop: (options) =>
          serving.stop(options, {
            drain: () =>
              new Promise((closed) => {
                isStopping = true;
                server.close(() => closed());
              }),
            force: () => server.closeAllConnections(),
          }),
      });
    });
  });
}
