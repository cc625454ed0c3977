/** An app that takes payments by webhook, `/hook`, each with an id, and its topics. */
import * as v from "valibot";
import { type App, type AppOptions, createApp } from "../../mod.ts";

/** Partitions of the topic of payments. */
export const PARTITIONS = 2;

/** Where payments come to lie. */
export function paymentsOf(name: string): string {
  return `${name}-payments`;
}

/** Makes it. */
export function webhookApp(name: string, options: AppOptions): App {
  const app = createApp(name, options);
  const payment = v.object({ id: v.string(), n: v.number() });
  const payments = app.topic(paymentsOf(name), { partitions: PARTITIONS, value: payment, key: ({ n }) => String(n) });
  app.webhook("/hook", { topic: payments, verify: "none", body: payment, idempotencyKey: ({ body }) => body.id });
  return app;
}
