/** Partitions: how each is, and orders to pause, resume, restart or seek it. */
import type { ControlOrder, SeekTo } from "../../task/control-desk.ts";
import type { HttpHost } from "../host.ts";
import type { Route } from "../router.ts";
import { answered } from "./answer.ts";
import type { Guard } from "./guard.ts";
import { checkNames, isObject, orderReader, wrong } from "./order.ts";

const REASON_LENGTH_MAX = 1_000;
const ACTIONS: readonly ControlOrder["action"][] = ["pause", "resume", "restart", "seek"];

/** The routes of partitions, behind the guard of the admin pages. */
export function controlRoutes(host: HttpHost, guard: Guard): readonly Route[] {
  const readOrder = orderReader(host.runtime);
  const list: Route = {
    path: "/admin/control",
    method: "GET",
    handle: async (request, call) => {
      await guard(request, call);
      return await answered(host, "/admin/control", async () => ({ partitions: await host.control.partitions() }));
    },
  };
  const orders = ACTIONS.map((action): Route => {
    const path = `/admin/control/${action}`;
    const names = ["topic", "partition", "reason", ...(action === "seek" ? ["to"] : [])];
    return {
      path,
      method: "POST",
      handle: async (request, call) => {
        await guard(request, call);
        return await answered(host, path, async () => {
          const { body, by } = await readOrder(request, names);
          const { topic, partition = null, reason = null } = body;
          if (typeof topic !== "string") throw wrong('The "topic" must be the name of a topic.');
          if (partition !== null && !isWhole(partition)) throw wrong('The "partition" must be a whole number from 0, or missing for all.');
          if (reason !== null && (typeof reason !== "string" || reason.length > REASON_LENGTH_MAX)) {
            throw wrong(`The "reason" must be text of at most ${REASON_LENGTH_MAX} characters.`);
          }
          const to = action === "seek" ? seekOf(body["to"]) : null;
          return await host.control.order({ action, topic, partition, to, reason, by });
        });
      },
    };
  });
  return [list, ...orders];
}

function seekOf(to: unknown): SeekTo {
  if (to === "start" || to === "end") return to;
  const wanted = 'The "to" must be "start", "end", { "position": n }, { "by": n } or { "time": ms since the epoch }.';
  if (!isObject(to)) throw wrong(wanted);
  checkNames("to", to, ["position", "by", "time"]);
  const { position, by, time } = to;
  if (Object.keys(to).length !== 1) throw wrong(wanted);
  if (isWhole(position)) return { position };
  if (Number.isSafeInteger(by)) return { by: by as number };
  if (Number.isSafeInteger(time)) return { time: time as number };
  throw wrong(wanted);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
