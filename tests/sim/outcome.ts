/** Holds what came out of a simulated run against what the model says. Throws a {@linkcode Violation} with the first thing that does not hold. */
import type { Log } from "../../src/log/log.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { headerText } from "../../src/record/headers.ts";
import type { HeaderField } from "../../src/record/record.ts";
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Genes } from "./genes.ts";
import { type Expected, expectedOf, type ExpectedResult, type LoggedInput } from "./model.ts";
import type { Spend } from "./shop.ts";
import type { Windowed } from "../../src/stream/window.ts";
import type { Value, World } from "./world.ts";

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
  return readTopic(log, topic).map(({ partition, position, timestamp, key, value, headers }) => {
    const decoded = value === null ? null : JSON.parse(decoder.decode(value)) as Value;
    return { topic, partition, position, key, value: decoded, timestamp, id: decoded?.id ?? textOf(headers, "id") };
  });
}

/** The header of a record as text; empty where there is none. */
export function textOf(headers: readonly HeaderField[], name: string): string {
  const field = headers.findLast((candidate) => candidate.name === name);
  return field === undefined ? "" : headerText(field.value);
}

/** Checks all outputs. Returns them as text, in an order of their own. */
export function checkOutputs(log: Log, genes: Genes, world: World): string {
  const events = readInput(log, "events"), others = readInput(log, "others");
  const expected = expectedOf(genes, world, events, others);
  must(genes.mode === "tight" || expected.late.length === 0, () => `the workload broke its bound: ${JSON.stringify(expected.late[0])}`);
  const trace: unknown[] = [];
  for (const topic of ["seen", "enriched", "merged", "large", "middle", "rest"]) {
    if (log.partitionsOf(topic) !== null) trace.push(checkPlain(topic, readTopic(log, topic), expected.plain.get(topic) ?? new Map(), topic === "merged"));
  }
  if (genes.window !== null) trace.push(checkResults("spend", readTopic(log, "spend"), expected.spend, true));
  if (genes.groups !== null) trace.push(checkResults("groups", readTopic(log, "groups"), expected.groups, false));
  trace.push(checkDead(readTopic(log, "events-dlq"), expected, events));
  trace.push(checkLate(readTopic(log, "events-late"), expected, events));
  return JSON.stringify(trace);
}

/** Under each key the same records in the same order; without a key, or where `isUnordered`, in any. */
function checkPlain(topic: string, records: readonly Logged[], wanted: ReadonlyMap<string, readonly string[]>, isUnordered: boolean): unknown {
  const actual = new Map<string, string[]>();
  for (const { key, value, headers } of records) {
    const id = value === null ? textOf(headers, "id") : (unpackValue(value) as { readonly id: string }).id;
    const list = actual.get(key ?? "");
    if (list === undefined) actual.set(key ?? "", [id]);
    else list.push(id);
  }
  for (const key of new Set([...actual.keys(), ...wanted.keys()])) {
    const inOrder = (ids: readonly string[]): readonly string[] => key === "" || isUnordered ? [...ids].sort() : ids;
    const came = inOrder(actual.get(key) ?? []), due = inOrder(wanted.get(key) ?? []);
    must(came.join() === due.join(), () => `topic "${topic}", key "${key}": ${differenceOf(came, due)}`);
  }
  return [...actual].map(([key, ids]) => [key, ids.sort()] as const).sort(byFirst);
}

function checkResults(topic: string, records: readonly Logged[], wanted: ReadonlyMap<string, readonly ExpectedResult[]>, isOrdered: boolean): unknown {
  const actual = new Map<string, { readonly value: Spend; readonly end: number; readonly timestamp: number }[]>();
  for (const { key, value, timestamp } of records) {
    const { key: own, start, end, value: spend } = unpackValue(value!) as Windowed<string, Spend>;
    must(own === key, () => `topic "${topic}": a result of "${own}" lies under "${key}"`);
    const place = `${own}@${start}`, list = actual.get(place);
    const one = { value: spend, end, timestamp };
    if (list === undefined) actual.set(place, [one]);
    else list.push(one);
  }
  const textOfResult = ({ n, total, items }: Spend, end: number, timestamp: number): string => {
    const ids = items.map(({ id }) => id);
    return JSON.stringify([n, total, isOrdered ? ids : ids.sort(), end, timestamp]);
  };
  for (const place of new Set([...actual.keys(), ...wanted.keys()])) {
    const came = (actual.get(place) ?? []).map(({ value, end, timestamp }) => textOfResult(value, end, timestamp));
    const due = (wanted.get(place) ?? []).map((result) => textOfResult(result, result.end, result.timestamp));
    must(came.join() === due.join(), () => `topic "${topic}", window ${place}: ${differenceOf(came, due)}`);
  }
  return [...actual].map(([place, results]) => [place, results.map(({ value: { n, total, items } }) => [n, total, items.map(({ id }) => id).sort()])] as const)
    .sort(byFirst);
}

function byFirst([left]: readonly [string, ...unknown[]], [right]: readonly [string, ...unknown[]]): number {
  return left < right ? -1 : 1;
}

function checkDead(letters: readonly Logged[], { dead }: Expected, events: readonly LoggedInput[]): unknown {
  const came = letters.map(({ headers, value }) => {
    if (textOf(headers, "mr-topic").startsWith("step:")) {
      const { key, start } = unpackValue(value!) as Windowed<string, unknown>;
      return `${key}@${start}`;
    }
    const of = eventAt(events, headers);
    must(value !== null && decoder.decode(value) === JSON.stringify(of.value), () => `the dead letter of ${of.id} does not hold its bytes`);
    return of.id;
  }).sort();
  const due = [...dead].sort();
  must(came.join() === due.join(), () => `dead letters: ${differenceOf(came, due)}`);
  return came;
}

function checkLate(letters: readonly Logged[], { late }: Expected, events: readonly LoggedInput[]): unknown {
  const came = letters.map(({ headers, value }) => {
    const id = textOf(headers, "mr-topic") === "events" ? eventAt(events, headers).id : (unpackValue(value!) as { readonly id: string }).id;
    const missed = (JSON.parse(textOf(headers, "mr-missed")) as readonly { readonly start: number }[]).map(({ start }) => start);
    return `${textOf(headers, "mr-step")} ${id} ${missed.join("+")}`;
  }).sort();
  const due = late.map(({ step, id, missed }) => `${step} ${id} ${missed.join("+")}`).sort();
  must(came.join() === due.join(), () => `late letters: ${differenceOf(came, due)}`);
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
