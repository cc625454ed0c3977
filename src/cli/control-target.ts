/** Which partitions a command is about, and where a position is to be, as operators write them. */
import type { SeekTo } from "../task/control-desk.ts";
import { isoMs } from "./moments.ts";

/** A partition, or all of a topic. */
export interface ControlTarget {
  readonly topic: string;
  /** undefined: all. */
  readonly partition: number | undefined;
}

/** Reads `orders` or `orders/3`. */
export function controlTarget(text: string): ControlTarget | Error {
  const [, topic, partition] = /^([A-Za-z0-9._-]+)(?:\/(\d{1,9}))?$/.exec(text) ?? [];
  if (topic === undefined) return new Error(`${JSON.stringify(text)} is no topic and no partition, wanted such as orders or orders/3`);
  return { topic, partition: partition === undefined ? undefined : Number(partition) };
}

/** Reads a position, `start`, `end`, `+n`, `-n` or a moment. Throws RangeError. */
export function seekTo(text: string): SeekTo {
  if (text === "start" || text === "end") return text;
  if (/^\d{1,15}$/.test(text)) return { position: Number(text) };
  if (/^[+-]\d{1,15}$/.test(text)) return { by: Number(text) };
  const time = isoMs(text);
  if (time !== null) return { time };
  throw new RangeError(`--to is ${text}, wanted a position, start, end, +n, -n, or a moment such as 2026-01-01T12:00Z`);
}
