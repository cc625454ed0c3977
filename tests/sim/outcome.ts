/** Holds what came out of a simulated run against what the model says. Throws a {@linkcode Violation} with the first thing that does not hold. */
import type { Log } from "../../src/log/log.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { headerText } from "../../src/record/headers.ts";
import type { HeaderField } from "../../src/record/record.ts";
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Genes } from "./genes.ts";
import { type Expected, type ExpectedLate, expectedOf, type ExpectedResult, type LoggedInput, type Seen } from "./model.ts";
import type { Spend } from "./shop.ts";
import type { Windowed } from "../../src/stream/window.ts";
import { policyAt } from "./policies.ts";
import type { Fate, Value, World } from "./world.ts";

/** Something that must hold and does not. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Throws unless `holds`. */
export function must(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}

/** A record as it lies in the log. */
export interface Logged {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderField[];
}

const decoder = new TextDecoder();

/** All records of a topic, clocks without a record included; their positions have no gaps. */
export function readTopic(log: Log, topic: string): Logged[] {
  const records: Logged[] = [];
  for (let partition = 0; partition < (log.partitionsOf(topic) ?? 0); partition++) {
    const reader = log.reader({ topic, partition }, 0, () => {});
    const cursor = new RecordCursor();
    let next = 0;
    for (let chunk = reader.take(1_048_576); chunk !== null; chunk = reader.take(1_048_576)) {
      cursor.open(chunk.bytes, chunk.start, chunk.end, next);
      while (cursor.next()) {
        must(cursor.position === next, () => `positions of ${topic}/${partition} go from ${next - 1} to ${cursor.position}`);
        next++;
        const value = cursor.valueBytes()?.slice() ?? null;
        records.push({
          topic,
          partition,
          position: cursor.position,
          timestamp: cursor.timestamp,
          key: cursor.keyText(),
          value,
          headers: cursor.headerCount === 0 ? [] : cursor.headers(),
        });
      }
    }
    reader.close();
  }
  return records;
}

/** The input as it lies in the log. */
export function readInput(log: Log, topic: string): LoggedInput[] {
  return readTopic(log, topic).map(({ partition, position, timestamp, key, value: bytes, headers }) => {
    const value = bytes === null ? null : valueOf(bytes);
    const id = value?.id ?? textOf(headers, "id");
    return { topic, partition, position, key, value, bytes, timestamp: value?.at ?? timestamp, id };
  });
}

function valueOf(bytes: Uint8Array): Value | null {
  try {
    return JSON.parse(decoder.decode(bytes)) as Value;
  } catch {
    return null; // Bytes that were made bad.
  }
}

/** The header of a record as text; empty where there is none. */
export function textOf(headers: readonly HeaderField[], name: string): string {
  const field = headers.findLast((candidate) => candidate.name === name);
  return field === undefined ? "" : headerText(field.value);
}

const PLAIN = ["seen", "enriched", "merged", "large", "middle", "rest", "split", "sieved"];

/** Checks all outputs. Returns them as text, in an order of their own. */
export function checkOutputs(log: Log, genes: Genes, world: World): string {
  const events = readInput(log, "events"), others = readInput(log, "others");
  const letters = readTopic(log, "events-late").map((letter) => lateLetterOf(letter, events));
  const expected = expectedOf(genes, world, events, others, seenOf(log, letters));
  const broken = expected.late.find(({ id }) => !world.isLoose(id));
  must(genes.mode === "tight" || broken === undefined, () => `the workload broke its bound: ${JSON.stringify(broken)}`);
  const isLoose = (id: string): boolean => world.isLoose(id);
  const trace: unknown[] = [];
  for (const topic of PLAIN) {
    const isUnordered = topic === "merged";
    if (log.partitionsOf(topic) !== null) trace.push(checkPlain(topic, readTopic(log, topic), expected.plain.get(topic) ?? new Map(), isUnordered, isLoose));
  }
  if (genes.window !== null) trace.push(checkResults("spend", readTopic(log, "spend"), expected.spend, true, isLoose));
  if (genes.groups !== null) trace.push(checkResults("groups", readTopic(log, "groups"), expected.groups, false, isLoose));
  trace.push(checkDead(readTopic(log, "events-dlq"), expected, events, genes, world));
  trace.push(checkLate(letters, expected, genes, world));
  for (const id of expected.sunk) must(world.sunk.has(id), () => `${id} is done with, and the sink does not have it`);
  return JSON.stringify(trace);
}

/** What the model goes by where more than one thing may happen. */
export function seenOf(log: Log, letters: readonly ExpectedLate[]): Seen {
  const effects = new Set(readTopic(log, "seen").map(idOf));
  const results = log.partitionsOf("spend") === null ? [] : readTopic(log, "spend").map(({ value }) => unpackValue(value!) as Windowed<string, Spend>);
  const places = new Set(results.map(({ key, start }) => `${key}@${start}`));
  const late = new Set(letters.flatMap(({ step, id, missed }) => missed.map((start) => `${step} ${id} ${start}`)));
  return {
    hasEffects: (id) => effects.has(id),
    hasResult: (place) => places.has(place),
    isLate: (step, id, start) => late.has(`${step} ${id} ${start}`),
  };
}

function idOf({ value, headers }: Logged): string {
  return value === null ? textOf(headers, "id") : (unpackValue(value) as { readonly id: string }).id;
}

/** Under each key the same records in the same order, but for those that were tried out of turn; without a key, or where `isUnordered`, in any. */
function checkPlain(
  topic: string,
  records: readonly Logged[],
  wanted: ReadonlyMap<string, readonly string[]>,
  isUnordered: boolean,
  isLoose: (id: string) => boolean,
): unknown {
  const actual = new Map<string, string[]>();
  for (const record of records) {
    const key = record.key ?? "", id = idOf(record);
    const list = actual.get(key);
    if (list === undefined) actual.set(key, [id]);
    else list.push(id);
  }
  for (const key of new Set([...actual.keys(), ...wanted.keys()])) {
    const came = actual.get(key) ?? [], due = wanted.get(key) ?? [];
    mustBeAlike(came, due, key === "" || isUnordered, isLoose, `topic "${topic}", key "${key}"`);
  }
  return [...actual].map(([key, ids]) => [key, ids.sort()] as const).sort(byFirst);
}

/** The same, and in the same order as far as there is one. */
function mustBeAlike(came: readonly string[], due: readonly string[], isUnordered: boolean, isLoose: (id: string) => boolean, what: string): void {
  const all = [[...came].sort(), [...due].sort()] as const;
  must(all[0].join() === all[1].join(), () => `${what}: ${differenceOf(...all)}`);
  if (isUnordered) return;
  const inOrder = [came.filter((id) => !isLoose(id)), due.filter((id) => !isLoose(id))] as const;
  must(inOrder[0].join() === inOrder[1].join(), () => `${what}, in order: ${differenceOf(...inOrder)}`);
}

function checkResults(
  topic: string,
  records: readonly Logged[],
  wanted: ReadonlyMap<string, readonly ExpectedResult[]>,
  isOrdered: boolean,
  isLoose: (id: string) => boolean,
): unknown {
  const actual = new Map<string, { readonly value: Spend; readonly end: number; readonly timestamp: number }[]>();
  for (const { key, value, timestamp } of records) {
    const { key: own, start, end, value: spend } = unpackValue(value!) as Windowed<string, Spend>;
    must(own === key, () => `topic "${topic}": a result of "${own}" lies under "${key}"`);
    const place = `${own}@${start}`, list = actual.get(place);
    const one = { value: spend, end, timestamp };
    if (list === undefined) actual.set(place, [one]);
    else list.push(one);
  }
  const textOfResult = ({ n, total, items }: Spend, end: number, timestamp: number, isInOrder: boolean): string => {
    const ids = items.map(({ id }) => id);
    return JSON.stringify([n, total, isInOrder ? ids : ids.sort(), end, timestamp]);
  };
  for (const place of new Set([...actual.keys(), ...wanted.keys()])) {
    const came = actual.get(place) ?? [], due = wanted.get(place) ?? [];
    const what = `topic "${topic}", window ${place}`;
    const hasLoose = due.at(-1)?.items.some(({ id }) => isLoose(id)) === true;
    const isInOrder = isOrdered && !hasLoose;
    const texts = [
      came.map(({ value, end, timestamp }) => textOfResult(value, end, timestamp, isInOrder)),
      due.map((result) => textOfResult(result, result.end, result.timestamp, isInOrder)),
    ] as const;
    if (!hasLoose) {
      must(texts[0].join() === texts[1].join(), () => `${what}: ${differenceOf(...texts)}`);
      continue;
    }
    // One that was tried out of turn came at some time; with the last update all are there.
    must(came.length === due.length && texts[0].at(-1) === texts[1].at(-1), () => `${what}: ${differenceOf(texts[0].slice(-1), texts[1].slice(-1))}`);
    must(came.every(({ value }, index) => value.n === due[index]!.n), () => `${what}: its updates count ${came.map(({ value }) => value.n).join()}`);
    const idsOf = ({ items }: Spend): string[] => items.map(({ id }) => id);
    if (isOrdered) mustBeAlike(idsOf(came.at(-1)!.value), idsOf(due.at(-1)!), false, isLoose, what);
  }
  return [...actual].map(([place, results]) => [place, results.map(({ value: { n, total, items } }) => [n, total, items.map(({ id }) => id).sort()])] as const)
    .sort(byFirst);
}

function byFirst([left]: readonly [string, ...unknown[]], [right]: readonly [string, ...unknown[]]): number {
  return left < right ? -1 : 1;
}

function checkDead(letters: readonly Logged[], { dead }: Expected, events: readonly LoggedInput[], genes: Genes, world: World): unknown {
  const came = letters.map(({ headers, value }) => {
    const attempts = Number(textOf(headers, "mr-attempts"));
    if (textOf(headers, "mr-topic").startsWith("step:")) {
      const { key, start } = unpackValue(value!) as Windowed<string, unknown>;
      checkAttempts(`${key}@${start}`, attempts, world.fateOfResult(key, start), true, genes);
      return `${key}@${start}`;
    }
    const { id, bytes } = eventAt(events, headers);
    must(bytesText(value) === bytesText(bytes), () => `the dead letter of ${id} does not hold its bytes`);
    if (world.badnessOf(id) === null) checkAttempts(id, attempts, world.fateOf(id), false, genes);
    return id;
  }).sort();
  const due = [...dead].sort();
  must(came.join() === due.join(), () => `dead letters: ${differenceOf(came, due)}`);
  return came;
}

/** Who is given up was tried as often as its policy says: more often only where a try ended with its process. */
function checkAttempts(id: string, attempts: number, { step, times, how }: Fate, isResult: boolean, genes: Genes): void {
  const policy = policyAt(genes.policies, step, isResult);
  const least = times === 0 || how === "terminal" || policy.budgetMs !== null ? 1 : policy.attempts;
  must(attempts >= least, () => `${id} was given up after ${attempts} tries, its policy says ${least}`);
}

function bytesText(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : decoder.decode(bytes);
}

function lateLetterOf({ headers, value }: Logged, events: readonly LoggedInput[]): ExpectedLate {
  const id = textOf(headers, "mr-topic") === "events" ? eventAt(events, headers).id : (unpackValue(value!) as { readonly id: string }).id;
  const missed = (JSON.parse(textOf(headers, "mr-missed")) as readonly { readonly start: number }[]).map(({ start }) => start);
  return { step: textOf(headers, "mr-step"), id, missed };
}

function checkLate(letters: readonly ExpectedLate[], { late }: Expected, { lateTo }: Genes, world: World): unknown {
  const textsOf = (list: readonly ExpectedLate[]): string[] => list.map(({ step, id, missed }) => `${step} ${id} ${missed.join("+")}`).sort();
  const came = textsOf(letters);
  const due = textsOf(lateTo === "topic" ? late : late.filter(({ step }) => step !== "spend"));
  must(came.join() === due.join(), () => `late letters: ${differenceOf(came, due)}`);
  if (lateTo === "function") {
    for (const { step, id } of late) {
      must(step !== "spend" || !world.hasValue(id) || world.tardy.has(id), () => `${id} is late, and its function was not called`);
    }
  }
  return came;
}

function eventAt(events: readonly LoggedInput[], headers: readonly HeaderField[]): LoggedInput {
  const partition = Number(textOf(headers, "mr-partition")), position = Number(textOf(headers, "mr-position"));
  const found = events.find((event) => event.partition === partition && event.position === position);
  must(found !== undefined, () => `a letter speaks of events/${partition} position ${position}, which is not there`);
  return found;
}

/** The first difference of two lists, with what lies around it. */
function differenceOf(came: readonly string[], due: readonly string[]): string {
  const at = came.findIndex((one, index) => one !== due[index]);
  const from = at < 0 ? came.length : at;
  const show = (list: readonly string[]): string => list.length <= from ? "nothing more" : list.slice(from, from + 3).join(" ");
  return `after ${from} alike came ${show(came)}, wanted ${show(due)} (${came.length} came, ${due.length} wanted)`;
}
