/** Functions of the user's that receive what leaves a topology, with what makes a repeat of theirs harmless. */
import type { Awaitable } from "../base/awaitable.ts";
import { isThenable } from "../base/awaitable.ts";
import { DefinitionError } from "../base/errors.ts";
import { crc32c } from "../record/crc32c.ts";
import type { RecordMeta } from "../record/meta.ts";
import { packValue } from "../record/value-bytes.ts";
import type { Policy, TopologyNode } from "../topology/node.ts";
import { compilePolicy, type ErrorPolicy } from "./error-policy.ts";
import { type Target, targetProperty } from "./source.ts";

/** How a sink is set up. */
export interface SinkOptions {
  /** What happens to a record that it fails for. @default that of the source */
  readonly errors?: ErrorPolicy;
}

/** What stands behind a sink. */
export interface SinkParts {
  readonly sink: string;
  readonly write: (value: never, token: string) => unknown;
  readonly errors: ErrorPolicy | undefined;
}

/**
 * A target outside: a function that takes each value, and a token. Failures go by the error policy, as those of any step.
 *
 * It runs before the commit that holds its record, so after a crash it runs again for the same value of the same record, and is given the same token: whoever receives it does nothing the second
 * time. A record that an operator has tried again has that of its first place, too.
 *
 * @example
 * ```ts
 * import { createApp, sink } from "millrace";
 * import { testApp } from "millrace/testing";
 *
 * const app = createApp("shop");
 * const orders = app.topic("orders");
 * const sent = new Map<string, unknown>();
 * app.stream(orders).to(sink("mail", async (order, token) => void sent.set(token, order)));
 *
 * await using test = testApp(app);
 * await test.send(orders, { id: 1 });
 * if (sent.size !== 1) throw new Error("wanted one mail");
 * ```
 */
export function sink<V>(name: string, write: (value: V, token: string) => Awaitable<void>, options: SinkOptions = {}): Target<unknown, V> {
  if (typeof name !== "string" || name === "") {
    throw new DefinitionError(`The name of a sink is ${JSON.stringify(name)}, wanted text`, { code: "OPTION_INVALID" });
  }
  const parts: SinkParts = { sink: name, write: write as SinkParts["write"], errors: options.errors };
  return { "~target": targetProperty<unknown, V>(parts) };
}

/** What stands behind a target that is a sink; null for others. */
export function sinkParts(target: Target<never, never>): SinkParts | null {
  const parts: unknown = target?.["~target"];
  return typeof parts === "object" && parts !== null && "sink" in parts ? parts as SinkParts : null;
}

/** Its policy; null: none of its own. */
export function sinkPolicy({ sink, errors }: SinkParts, fault: (sentence: string) => void): Policy | null {
  return compilePolicy(errors, `sink "${sink}"`, fault);
}

/** Builds the step. Tombstones pass by: there is no value. */
export function sinkStep(app: string, { sink, write }: SinkParts): TopologyNode["build"] {
  return (context) => ({
    push: (value, meta) => {
      if (value === undefined) return;
      context.enter();
      const written = write(value as never, tokenOf(app, sink, value, meta));
      if (isThenable(written)) context.suspend(written, () => {});
    },
  });
}

/** The same for the same value of the same record. Results of windows have no position: key and time stand for it. */
function tokenOf(app: string, sink: string, value: unknown, { topic, partition, position, key, timestamp }: RecordMeta): string {
  const place = position >= 0 ? `${position}` : `${timestamp}.${hex(key)}`;
  return `${app}/${sink}/${topic}-${partition}@${place}#${hex(value)}`;
}

function hex(value: unknown): string {
  return crc32c(packValue(value)).toString(16).padStart(8, "0");
}
