/** What an operator orders: a request that changes something, as JSON, with the name of whoever sent it. */
import type { Runtime } from "../../runtime/runtime.ts";
import { Admission } from "../admission.ts";
import { checkHead, readBody } from "../ingest/body.ts";
import { parseJson } from "../ingest/json.ts";
import { Refusal } from "../problem.ts";

/** An order. */
export interface Order {
  readonly body: Readonly<Record<string, unknown>>;
  /** As the header `x-millrace-operator` says. */
  readonly by: string;
}

const BODY_BYTES_MAX = 4_194_304;
const BODY_TIMEOUT_MS = 30_000;
const OPERATOR_LENGTH_MAX = 100;
/** Orders are few. */
const LIMITS = { requestsMax: 100, readingMax: 100, bodyBytesUnderWayMax: 67_108_864 };

/** Reads orders, some at a time. It throws {@linkcode Refusal}, also for names that an order does not take: a word misspelt must not be a word left out. */
export function orderReader(runtime: Runtime): (request: Request, names: readonly string[]) => Promise<Order> {
  const admission = new Admission(LIMITS);
  return async (request, names) => {
    // Of JSON alone: a page of another site cannot make a browser send it without asking first.
    checkHead(request.headers, BODY_BYTES_MAX);
    const by = operatorOf(request.headers);
    const admitted = admission.enter();
    try {
      const bytes = await readBody(request, { runtime, bytesMax: BODY_BYTES_MAX, timeoutMs: BODY_TIMEOUT_MS, admitted });
      const body = parseJson(bytes);
      if (!isObject(body)) throw wrong("The body must be a JSON object.");
      checkNames("body", body, names);
      return { body, by };
    } finally {
      admitted.release();
    }
  };
}

/** Refuses names that are not taken. */
export function checkNames(what: string, object: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  const odd = Object.keys(object).find((name) => !names.includes(name));
  if (odd !== undefined) throw wrong(`The ${what} has ${JSON.stringify(odd.slice(0, 100))}, which is not taken here: wanted ${names.join(", ")}.`);
}

/** A JSON object, no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An order that cannot be followed. */
export function wrong(detail: string): Refusal {
  return new Refusal({ status: 400, reason: "order", detail });
}

/** Percent-encoded where it is not ASCII, for headers take no more. */
function operatorOf(headers: Headers): string {
  const given = headers.get("x-millrace-operator") ?? "";
  const name = decoded(given).trim();
  if (name === "") return "unknown";
  // deno-lint-ignore no-control-regex
  if (name.length > OPERATOR_LENGTH_MAX || /[\0-\x1f\x7f]/.test(name)) {
    throw wrong(`The header x-millrace-operator must be a name of at most ${OPERATOR_LENGTH_MAX} characters, without control characters.`);
  }
  if (name === "millrace") throw wrong("The header x-millrace-operator says millrace, which is how the engine itself signs: give another name.");
  return name;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
