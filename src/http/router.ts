/** From path to handler, by Hono. The only file that knows it; handlers take a Request and give a Response. */
import { Hono } from "hono";
import { methodProblem, NOT_FOUND, problemResponse } from "./problem.ts";

/** What a handler is told besides the request. */
export interface Call {
  readonly url: URL;
  /** Parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly remoteAddress: string | null;
}

/** A path and who serves it. */
export interface Route {
  /** Literal, or with `:name` parts. */
  readonly path: string;
  readonly method: "GET" | "POST";
  readonly handle: (request: Request, call: Call) => Promise<Response>;
}

/** Serves a request. `route` is the pattern that it took, `unknown` without one. */
export type Router = (request: Request, remoteAddress: string | null) => Promise<{ readonly response: Response; readonly route: string }>;

interface Environment {
  readonly Bindings: { readonly remoteAddress: string | null; route: string };
}

/** Builds the one Hono app. `onError` answers for what a handler throws. */
export function router(routes: readonly Route[], onError: (error: unknown, route: string) => Response): Router {
  const hono = new Hono<Environment>();
  for (const { path, method, handle } of routes) {
    const allowed = method === "GET" ? ["GET", "HEAD"] : [method];
    hono.all(path, async (context) => {
      context.env.route = path;
      const request = context.req.raw;
      if (!allowed.includes(request.method)) return problemResponse(methodProblem(allowed));
      return await handle(request, {
        url: new URL(request.url),
        params: context.req.param() as Readonly<Record<string, string>>,
        remoteAddress: context.env.remoteAddress,
      });
    });
  }
  hono.notFound(() => problemResponse(NOT_FOUND));
  hono.onError((error, context) => onError(error, context.env.route));
  return async (request, remoteAddress) => {
    const env = { remoteAddress, route: "unknown" };
    try {
      return { response: await hono.fetch(request, env), route: env.route };
    } catch (error) {
      // Hono rethrows what is no Error.
      return { response: onError(error, env.route), route: env.route };
    }
  };
}
