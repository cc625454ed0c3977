/**
 * What the three HTTP servers have in common: they hide what a handler threw, begin nothing once they stop (R6), say client addresses alike, and bound how long they wait for the rest.
 */
import { ExternalError, messageOf } from "../../src/base/errors.ts";
import type { ServeOptions } from "../../src/runtime/runtime.ts";

/** How long `stop` waits unless told. */
const DRAIN_MS = 5_000;

/** Guards a handler of requests. */
export class Serving {
  readonly #fetch: ServeOptions["fetch"];
  #stopped: Promise<void> | null = null;

  constructor(fetch: ServeOptions["fetch"]) {
    this.#fetch = fetch;
  }

  /** Whether requests are refused. */
  get isStopping(): boolean {
    return this.#stopped !== null;
  }

  /** Answers a request; never rejects. */
  async answer(request: Request, remoteAddress: string | null | undefined): Promise<Response> {
    if (this.isStopping) return new Response("stopping", { status: 503, headers: { connection: "close", "retry-after": "1" } });
    try {
      return await this.#fetch(request, { remoteAddress: plainAddress(remoteAddress) });
    } catch {
      // `fetch` has promised not to reject; a client is not the one to hear the reason.
      return failedResponse();
    }
  }

  /** Runs `drain`, and `force` when it takes longer than `drainMs`; later calls wait for the first. */
  stop({ drainMs = DRAIN_MS }: { readonly drainMs?: number } = {}, { drain, force }: { drain(): Promise<void>; force(): void }): Promise<void> {
    this.#stopped ??= withLimit(drainMs, { drain, force });
    return this.#stopped;
  }
}

/** An answer that says nothing. */
export function failedResponse(): Response {
  return new Response("Internal Server Error", { status: 500 });
}

/** The error of a server that cannot listen. */
export function listenFailure({ hostname, port }: { readonly hostname: string; readonly port: number }, cause: unknown): ExternalError {
  return new ExternalError("RUNTIME_UNSUPPORTED", `Cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, { cause, details: { hostname, port } });
}

/** An IPv4 client of an IPv6 socket is an IPv4 client. */
function plainAddress(address: string | null | undefined): string | null {
  return address?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "") ?? null;
}

function withLimit(limitMs: number, { drain, force }: { drain(): Promise<void>; force(): void }): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      force();
      resolve();
    }, limitMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    drain().then(done, done);
  });
}
