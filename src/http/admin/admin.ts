/** The admin pages: health, topology, metrics, which only read; letters, partitions and backups. */
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "../../observe/prometheus.ts";
import type { HealthReport, HttpHost } from "../host.ts";
import { jsonResponse, textResponse } from "../problem.ts";
import type { Call, Route } from "../router.ts";
import { backupRoutes } from "./backup-routes.ts";
import { controlRoutes } from "./control-routes.ts";
import type { Guard } from "./guard.ts";
import { lettersRoutes } from "./letters-routes.ts";

/** The routes of the admin pages, behind their guard. */
export function adminRoutes(host: HttpHost, guard: Guard): readonly Route[] {
  const page = (path: string, answer: (call: Call) => Response | Promise<Response>): Route => ({
    path,
    method: "GET",
    handle: async (request, call) => {
      await guard(request, call);
      return await answer(call);
    },
  });
  return [
    page("/admin/health", async () => healthPage(await host.health())),
    page("/admin/live", async () => flagPage("live", await host.health())),
    page("/admin/ready", async () => flagPage("ready", await host.health())),
    page("/admin/info", () => jsonResponse(infoOf(host))),
    page(
      "/admin/topology",
      ({ url }) => (url.searchParams.get("format") === "mermaid" ? textResponse(host.mermaid(), "text/plain; charset=utf-8") : jsonResponse(host.topology())),
    ),
    page("/metrics", () => textResponse(prometheusText(host.metrics), PROMETHEUS_CONTENT_TYPE)),
    ...lettersRoutes(host, guard),
    ...controlRoutes(host, guard),
    ...backupRoutes(host, guard),
  ];
}

function healthPage(health: HealthReport): Response {
  return jsonResponse(health, health.status === "ok" || health.status === "degraded" ? 200 : 503);
}

function flagPage(flag: "live" | "ready", health: HealthReport): Response {
  return jsonResponse(
    { [flag]: health[flag], status: health.status, ...(health.reason === undefined ? {} : { reason: health.reason }) },
    health[flag] ? 200 : 503,
  );
}

function infoOf({ name, version, runtime, webhooks }: HttpHost): unknown {
  return {
    name,
    version,
    runtime: { name: runtime.name, version: runtime.version },
    webhooks: webhooks.map(({ path, scheme, bodyBytesMax }) => ({ path, verify: scheme?.name ?? "none", bodyBytesMax })),
  };
}
