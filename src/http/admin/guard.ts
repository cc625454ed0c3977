/**
 * Who may see what the app knows: on loopback, whoever is on this machine; anywhere else, whoever has the token.
 *
 * - **G1** Without a token, only requests that this machine sent to its own name are served: not those that a browser was lured into (Host), and not those
 *   that a proxy passed on.
 * - **G2** Tokens are compared by digest, in constant time; an address that was wrong too often waits.
 */
import { equalBytesConstantTime, toBytes } from "../../base/bytes.ts";
import { DefinitionError } from "../../base/errors.ts";
import type { HttpHost } from "../host.ts";
import { type Problem, Refusal, retryAfterSeconds } from "../problem.ts";

/** Wrong tokens from one address within the time below. */
const FAILURES_MAX = 10;
const FAILURES_WITHIN_MS = 60_000;
/** Addresses remembered; the oldest goes first. */
const ADDRESSES_MAX = 1_000;

const PROXY_HEADERS: readonly string[] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

interface Failures {
  count: number;
  readonly since: number;
}

/** Lets a request pass, or throws {@linkcode Refusal}. */
export type Guard = (request: Request, call: { readonly url: URL; readonly remoteAddress: string | null }) => Promise<void>;

/** The guard of an app's admin pages and queries. */
export function adminGuard(host: Pick<HttpHost, "admin" | "runtime" | "log">): Guard {
  const failures = new Map<string, Failures>();
  return async (request, { url, remoteAddress }) => {
    const { token, isLoopback } = host.admin;
    try {
      if (token !== null) await checkToken(host, request, token, failures, remoteAddress ?? "unknown");
      else if (isLoopback) checkLocal(request, url, remoteAddress);
      else throw forbidden("no_token", "The server listens beyond this machine and has no token: admin pages are closed.");
    } catch (error) {
      if (error instanceof Refusal) host.log({ type: "adminRefused", remoteAddress, status: error.problem.status, reason: error.problem.reason });
      throw error;
    }
  };
}

async function checkToken(
  { runtime }: Pick<HttpHost, "runtime">,
  request: Request,
  token: string,
  failures: Map<string, Failures>,
  address: string,
): Promise<void> {
  const now = runtime.monotonic();
  let failed = failures.get(address);
  if (failed !== undefined && now - failed.since >= FAILURES_WITHIN_MS) {
    failures.delete(address);
    failed = undefined;
  }
  if (failed !== undefined && failed.count >= FAILURES_MAX) {
    const pauseMs = failed.since + FAILURES_WITHIN_MS - now;
    throw new Refusal({
      status: 429,
      reason: "too_many_failures",
      detail: "Too many wrong tokens came from this address.",
      retryAfterSeconds: retryAfterSeconds(pauseMs),
    });
  }
  const given = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given === undefined) throw unauthorized("no_credentials");
  const [left, right] = await Promise.all([runtime.digest("SHA-256", toBytes(given)), runtime.digest("SHA-256", toBytes(token))]);
  if (equalBytesConstantTime(left, right)) {
    failures.delete(address);
    return;
  }
  // Others may have failed while the digests were made.
  const known = failures.get(address);
  if (known !== undefined) known.count++;
  else {
    if (failures.size >= ADDRESSES_MAX) failures.delete(failures.keys().next().value!);
    failures.set(address, { count: 1, since: now });
  }
  throw unauthorized("wrong_token");
}

function checkLocal(request: Request, url: URL, remoteAddress: string | null): void {
  if (remoteAddress !== null && !isLoopbackHost(remoteAddress)) {
    throw forbidden("remote_address", "Admin pages are for this machine alone, unless a token is set.");
  }
  // A target in absolute form names a host of its own.
  if (!isLocalName(url.host) || !isLocalName(request.headers.get("host") ?? url.host)) {
    throw forbidden("host", "Admin pages answer to localhost, 127.0.0.1 and [::1] alone, unless a token is set.");
  }
  if (PROXY_HEADERS.some((name) => request.headers.has(name))) throw forbidden("proxy", "Admin pages are not served through a proxy, unless a token is set.");
}

function isLocalName(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i.test(host);
}

function unauthorized(reason: string): Refusal {
  return new Refusal({
    status: 401,
    reason,
    detail: "A token is needed: Authorization: Bearer <token>.",
    headers: { "www-authenticate": 'Bearer realm="millrace"' },
  });
}

function forbidden(reason: string, detail: string): Refusal {
  const problem: Problem = { status: 403, reason, detail };
  return new Refusal(problem);
}

/** Whether a host name or address can be reached from this machine alone. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return name === "localhost" || name === "::1" || /^(::ffff:)?127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(name);
}

/** Refuses to listen beyond this machine without a token: throws DefinitionError `CONFIG_INVALID`. */
export function checkListen(host: string, token: string | null): void {
  if (token === "") throw new DefinitionError("The admin token is empty, wanted text that nobody can guess", { code: "CONFIG_INVALID" });
  if (token !== null && !/^\S+$/.test(token)) {
    throw new DefinitionError("The admin token holds white space, which no Authorization header can carry", { code: "CONFIG_INVALID" });
  }
  if (token !== null || isLoopbackHost(host)) return;
  const wanted = 'set a token, such as run({ token: env("ADMIN_TOKEN") }), or listen on 127.0.0.1';
  throw new DefinitionError(`Cannot listen on ${JSON.stringify(host)} without a token: other machines could read all state; ${wanted}`, {
    code: "CONFIG_INVALID",
  });
}
