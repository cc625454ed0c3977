/** Feature values by HTTP: `GET /features/:entity/:key?names=a,b&at=2026-01-01T00:00:00Z`. */
import { isStreamError, type StreamError } from "../../base/errors.ts";
import { errorFacts } from "../../observe/events.ts";
import type { Guard } from "../admin/guard.ts";
import type { FeatureQuery, HttpHost } from "../host.ts";
import { momentOf } from "../moment.ts";
import { jsonResponse, NOT_FOUND, type Problem, problemResponse, retryAfterSeconds } from "../problem.ts";
import type { Call, Route } from "../router.ts";

const PATH = "/features/:entity/:key";

/** The route of feature queries, behind the guard of the admin pages. */
export function featureRoute(host: HttpHost, guard: Guard): Route {
  return {
    path: PATH,
    method: "GET",
    handle: async (request, call) => {
      await guard(request, call);
      return await answer(host, call);
    },
  };
}

async function answer(host: HttpHost, { url, params }: Call): Promise<Response> {
  const options: FeatureQuery = { names: namesOf(url.searchParams.getAll("names")), at: momentOf("at", url.searchParams.get("at")) };
  try {
    const values = await host.query(params["entity"]!, params["key"]!, options);
    return values === null ? problemResponse(NOT_FOUND) : jsonResponse(values);
  } catch (error) {
    if (isStreamError(error) && error.code === "OPTION_INVALID") {
      return problemResponse({ status: 400, reason: "query", detail: error.message, code: error.code });
    }
    if (isStreamError(error) && error.code === "PARTITION_ABSENT") return problemResponse(absent(error));
    host.log({ type: "requestFailed", route: PATH, status: 503, error: errorFacts(error) });
    const pauseMs = isStreamError(error) ? error.retryAfterMs : null;
    return problemResponse({
      status: 503,
      reason: "unavailable",
      detail: "The features cannot be read now. Try again.",
      retryAfterSeconds: retryAfterSeconds(pauseMs),
    });
  }
}

/** Whose partition it is moves: who is told 421 asks another worker, who is told 503 asks again. */
function absent({ code, details, retryAfterMs }: StreamError): Problem {
  const { topic, partition, isRestoring } = details;
  const which = `Partition ${String(partition)} of "${String(topic)}"`;
  if (isRestoring !== true) return { status: 421, reason: "elsewhere", detail: `${which} is owned by another worker. Ask that one.`, code };
  const retry = retryAfterSeconds(retryAfterMs);
  return { status: 503, reason: "restoring", detail: `${which} is being restored by this worker. Try again.`, code, retryAfterSeconds: retry };
}

function namesOf(lists: readonly string[]): readonly string[] | null {
  const names = lists.flatMap((list) => list.split(",")).map((name) => name.trim()).filter((name) => name !== "");
  return names.length === 0 ? null : [...new Set(names)];
}
