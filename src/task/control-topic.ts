/**
 * What lies in `<app>-control`: what operators ordered, the newest of each kind and partition, in JSON. Every worker reads all of it; the one that has the partition does it. The position of a
 * command is its id.
 *
 * Other records of the topic have other kinds, and are not looked at here.
 */
import type { NewRecord, TopicPartition } from "../record/record.ts";

/** What can be ordered. */
export type Order =
  /** Records of the partition are not worked on, and event time does not pass it, until it is resumed. */
  | { readonly kind: "pause"; readonly isPaused: boolean }
  /** Reading goes on at this position, once. */
  | { readonly kind: "seek"; readonly to: number }
  /** The task of the partition begins again from what is committed, once. */
  | { readonly kind: "restart" };

/** An order and who gave it. */
export interface Command extends TopicPartition {
  readonly order: Order;
  /** Wall clock, ms. */
  readonly at: number;
  readonly by: string;
  readonly reason: string | null;
}

const VERSION = 1;
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The record of a command. */
export function controlRecord({ topic, partition, order, at, by, reason }: Command): NewRecord {
  const value = JSON.stringify({ version: VERSION, topic, partition, at, by, reason, ...order });
  return { key: `${order.kind} ${topic}/${partition}`, value, timestamp: at, headers: [] };
}

/** The command of a record; null for what is none, or of a later version. */
export function readControl(value: Uint8Array): Command | null {
  let row: (Partial<Command> & { readonly version?: number; readonly kind?: string; readonly isPaused?: boolean; readonly to?: number }) | null;
  try {
    row = JSON.parse(decoder.decode(value)) as typeof row;
  } catch {
    return null;
  }
  if (typeof row !== "object" || row === null) return null;
  const { version, topic, partition, at, by, reason = null } = row;
  if (version !== VERSION || topic === undefined || partition === undefined || at === undefined || by === undefined) return null;
  const order: Order | null = row.kind === "pause"
    ? { kind: "pause", isPaused: row.isPaused === true }
    : row.kind === "seek" && Number.isSafeInteger(row.to) && row.to! >= 0
    ? { kind: "seek", to: row.to! }
    : row.kind === "restart"
    ? { kind: "restart" }
    : null;
  return order === null ? null : { topic, partition, order, at, by, reason };
}
