/** From a letter to the record that has it tried again. */
import type { NewRecord } from "../record/record.ts";
import { type RetryNote, retryRecord } from "../task/retry-topic.ts";
import type { Topology } from "../topology/topology.ts";
import { type Letter, letterTopicName } from "./letter.ts";

/** The event time of a record that is tried again: its own, or the time of the replay. */
export type ReplayTime = "original" | "now";

/** What of an app letters can go back to. */
export interface Entrances {
  readonly topics: ReadonlySet<string>;
  readonly steps: ReadonlySet<string>;
}

/** The inputs and steps of an app. */
export function entrancesOf({ subTopologies }: Topology): Entrances {
  return {
    topics: new Set(subTopologies.flatMap(({ reads }) => reads.map(({ name }) => name))),
    steps: new Set(subTopologies.flatMap(({ nodes }) => nodes.filter(({ reads }) => reads === null).map(({ name }) => name))),
  };
}

/** Where a letter enters again: its topic, behind the step whose result it is, or into the step it was late for. */
export function entranceOf({ kind, place, step }: Letter): string {
  return kind === "late" ? `into:${step}` : place.topic;
}

/** Why a letter cannot be tried again; null: it can. */
export function unfitBecause(letter: Letter, { topics, steps }: Entrances): string | null {
  const { step, place: { topic } } = letter;
  if (step === "" || topic === "") return "it does not say where it failed: the engine did not write it";
  const name = letter.kind === "late" ? step : /^(?:step|into):(.*)$/s.exec(topic)?.[1] ?? null;
  if (name !== null) return steps.has(name) ? null : `the app has no step "${name}" any more`;
  return topics.has(topic) ? null : `the app does not read the topic "${topic}" any more`;
}

/** How a letter is tried again. */
export interface ReplayOptions {
  readonly run: number;
  /** The newest edit; undefined: as it is. */
  readonly value: Uint8Array | null | undefined;
  readonly at: ReplayTime;
  /** Wall clock, ms. */
  readonly now: number;
}

/** What goes to the topic of retries for a letter that is fit. */
export function replayRecord(letter: Letter, { run, value, at, now }: ReplayOptions): { readonly note: RetryNote; readonly record: NewRecord } {
  const { id, place, timestamp, stepKey } = letter;
  const note: RetryNote = {
    entrance: entranceOf(letter),
    partition: place.partition,
    position: place.position,
    // A late letter counts at the earliest time that is not late; a failed record says its own, where its topic has a function for that.
    timestamp: at === "original" ? timestamp : letter.kind === "late" ? null : now,
    missed: at === "original" && letter.kind === "late" ? letter.missed : null,
    key: stepKey ?? null,
    attempts: 0,
    dueAt: 0,
    // By it records are told too old on their arrival: that they had to wait here does not make them so.
    arrivedAt: at === "now" ? now : letter.at,
    budgetFrom: null,
    replay: { letter: { topic: letterTopicName(letter), position: id }, run },
  };
  return { note, record: retryRecord(note, letter.key, value === undefined ? letter.value : value, letter.headers, now) };
}
