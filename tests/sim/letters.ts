/** The dead letters of a simulated run: whose they are. */
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Windowed } from "../../src/stream/window.ts";
import type { LoggedInput } from "./model.ts";
import { type Logged, must, textOf } from "./logged.ts";

/** The record of the input that a letter is of, or `key@start` of the result. */
export function idOfLetter(letter: Logged, events: readonly LoggedInput[]): string {
  const { headers, value } = letter;
  if (!textOf(headers, "mr-topic").startsWith("step:")) return eventOf(letter, events).id;
  const { key, start } = unpackValue(value!) as Windowed<string, unknown>;
  return `${key}@${start}`;
}

/** The record of the input that a letter speaks of. */
export function eventOf({ headers }: Logged, events: readonly LoggedInput[]): LoggedInput {
  const partition = Number(textOf(headers, "mr-partition")), position = Number(textOf(headers, "mr-position"));
  const found = events.find((event) => event.partition === partition && event.position === position);
  must(found !== undefined, () => `a letter speaks of events/${partition} position ${position}, which is not there`);
  return found;
}
