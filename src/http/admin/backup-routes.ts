/**
 * A copy of log and state, as the body of the answer: nothing that comes with the request names a file. The copy lies beside the log from before the first byte of the answer to its last, or until
 * nobody has asked for more of it for a while.
 */
import { isStreamError } from "../../base/errors.ts";
import type { LogCopy } from "../../log/log.ts";
import { errorFacts } from "../../observe/events.ts";
import type { Runtime, Timer } from "../../runtime/runtime.ts";
import type { HttpHost } from "../host.ts";
import { bytesResponse, type Problem, problemResponse, retryAfterSeconds } from "../problem.ts";
import type { Route } from "../router.ts";
import type { Guard } from "./guard.ts";
import { orderReader } from "./order.ts";

const PATH = "/admin/backup";
const CHUNK_BYTES = 262_144;
/** Who takes nothing for so long has gone, or keeps others from their copies. */
const TAKEN_WITHIN_MS = 60_000;

/** The route of backups, behind the guard of the admin pages. */
export function backupRoutes(host: HttpHost, guard: Guard): readonly Route[] {
  const { runtime } = host;
  const readOrder = orderReader(runtime);
  return [{
    path: PATH,
    method: "POST",
    handle: async (request, call) => {
      await guard(request, call);
      await readOrder(request, []);
      try {
        const copy = await host.copy(request.signal);
        const name = `${host.name}-${new Date(runtime.now()).toISOString().replaceAll(/[-:]|\.\d+/g, "")}.db`;
        return bytesResponse(streamOf(copy, runtime), "application/vnd.sqlite3", name);
      } catch (error) {
        const problem = problemOf(error);
        if (problem === null) throw error;
        if (problem.status === 503 && problem.code !== "LOG_BUSY") {
          host.log({ type: "requestFailed", route: PATH, status: problem.status, error: errorFacts(error) });
        }
        return problemResponse(problem);
      }
    },
  }];
}

function problemOf(error: unknown): Problem | null {
  if (!isStreamError(error)) return null;
  const { code, domain, message, retryAfterMs } = error;
  if (code === "RUNTIME_UNSUPPORTED") return { status: 501, reason: "unsupported", detail: `${message}.`, code };
  if (domain !== "external") return null;
  return { status: 503, reason: "backup", detail: `${message}.`, code, retryAfterSeconds: retryAfterSeconds(retryAfterMs) };
}

/** Reads as much as is asked for, and closes the copy however it ends. */
function streamOf(copy: LogCopy, runtime: Runtime): ReadableStream<Uint8Array> {
  let position = 0;
  let timer: Timer | null = null;
  const end = (): void => {
    timer?.cancel();
    copy.close();
  };
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      timer?.cancel();
      try {
        const chunk = new Uint8Array(Math.min(CHUNK_BYTES, copy.bytes - position));
        if (copy.read(chunk, position) < chunk.length) throw new Error("the copy ended before its end");
        position += chunk.length;
        if (chunk.length > 0) controller.enqueue(chunk);
      } catch (error) {
        end();
        throw error;
      }
      if (position === copy.bytes) {
        end();
        return controller.close();
      }
      timer = runtime.setTimer(() => {
        end();
        controller.error(new Error("nobody took the copy"));
      }, TAKEN_WITHIN_MS);
    },
    cancel: end,
  });
}
