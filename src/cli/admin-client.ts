/** Asks the admin pages of an app, wherever they are: over HTTP, or in this process. */
import { DefinitionError, type ErrorCode, errorCodes, ExternalError } from "../base/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** How pages are reached. */
export interface AdminClientOptions {
  readonly runtime: Pick<Runtime, "setTimer">;
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string | null;
  /** Who asks, for the audit. */
  readonly operator: string;
  readonly fetch: (request: Request) => Promise<Response>;
  /** For people: `http://127.0.0.1:8080 (process 4711)`. */
  readonly where: string;
}

/** The problem details that refusals come with. */
interface Problem {
  readonly detail?: unknown;
  readonly code?: unknown;
  readonly issues?: readonly { readonly path?: unknown; readonly message?: unknown }[];
}

const ANSWER_WITHIN_MS = 60_000;
/** What is downloaded has to be made first. */
const DOWNLOAD_WITHIN_MS = 300_000;

/** What a query string is made of; undefined is left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** A client of one process, or of a log that no process works on. */
export class AdminClient {
  /** For people. */
  readonly where: string;
  readonly #options: AdminClientOptions;

  constructor(options: AdminClientOptions) {
    this.#options = options;
    this.where = options.where;
  }

  /** Reads a page. Rejects like `request`. */
  get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    const pairs = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as const]));
    return this.request("GET", pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs.map(([name, value]) => [name, value]))}`);
  }

  /** Has something done. Rejects like `request`. */
  post<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.request("POST", path, body);
  }

  /**
   * Sends a request and reads the JSON of the answer. Rejects with a DefinitionError where what was asked is wrong, with an ExternalError `ADMIN_FAILED` where the app cannot be reached, does not let
   * us in, or failed. `accepts`: statuses beside those of success whose answers are taken.
   */
  async request<Answer>(
    method: "GET" | "POST",
    path: string,
    body?: unknown,
    { accepts = [], withinMs = ANSWER_WITHIN_MS }: { readonly accepts?: readonly number[]; readonly withinMs?: number } = {},
  ): Promise<Answer> {
    const { response, text } = await this.#send(
      { method, path, body, withinMs },
      async (response) => ({ response, text: await response.text() }),
    );
    const answer = jsonOf(text);
    if ((response.ok || accepts.includes(response.status)) && answer !== undefined) return answer as Answer;
    throw this.#refused(response.status, answer as Problem | null | undefined);
  }

  /** Has something done whose answer is a stream of bytes. Rejects like `request`. The stream fails with an ExternalError `ADMIN_FAILED` when it is broken off. */
  async download(path: string, body: unknown): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send({ method: "POST", path, body, withinMs: DOWNLOAD_WITHIN_MS }, async (response) => response);
    if (response.ok && response.body !== null) return this.#whole(response.body);
    throw this.#refused(response.status, jsonOf(await response.text()) as Problem | null | undefined);
  }

  async *#whole(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const reader = body.getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
    } catch (cause) {
      throw new ExternalError("ADMIN_FAILED", `The app at ${this.where} broke off in the middle of its answer. Is it still running?`, { cause });
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  /** Rejects when nothing comes within a time. */
  async #send<T>(
    { method, path, body, withinMs }: { readonly method: "GET" | "POST"; readonly path: string; readonly body: unknown; readonly withinMs: number },
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { url, token, operator, fetch, runtime } = this.#options;
    const abort = new AbortController();
    const timer = runtime.setTimer(() => abort.abort(), withinMs);
    const headers: Record<string, string> = { accept: "application/json", "x-millrace-operator": encodeURIComponent(operator) };
    if (token !== null) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const asked = { method, headers, signal: abort.signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
      return await read(await fetch(new Request(`${url}${path}`, asked)));
    } catch (cause) {
      const why = abort.signal.aborted ? `it has not answered within ${withinMs / 1_000} s` : "nothing answers there";
      throw new ExternalError("ADMIN_FAILED", `Cannot ask the app at ${this.where}: ${why}. Is it running, and is that its address? --url names another`, {
        cause,
      });
    } finally {
      timer.cancel();
    }
  }

  #refused(status: number, problem: Problem | null | undefined): Error {
    if (problem === undefined) {
      return new ExternalError(
        "ADMIN_FAILED",
        `What answers at ${this.where} is no app of Millrace: status ${status}, without JSON. --url names another address`,
      );
    }
    const detail = typeof problem?.detail === "string" ? problem.detail : `status ${status}`;
    if (status === 401) {
      return new ExternalError(
        "ADMIN_FAILED",
        `The app at ${this.where} asks for its token: --token-env NAME names the variable that holds it. ${detail}`,
      );
    }
    const issues = (problem?.issues ?? []).map(({ path, message }) => `\n- ${String(path)}: ${String(message)}`).join("");
    if (status === 403 || status === 429 || status >= 500) return new ExternalError(codeOf(problem), `The app at ${this.where} refused: ${detail}${issues}`);
    return new DefinitionError(`${detail}${issues}`, { code: codeOf(problem, "OPTION_INVALID") });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codeOf(problem: Problem | null, otherwise: ErrorCode = "ADMIN_FAILED"): ErrorCode {
  const code = problem?.code;
  return typeof code === "string" && Object.hasOwn(errorCodes, code) ? code as ErrorCode : otherwise;
}
