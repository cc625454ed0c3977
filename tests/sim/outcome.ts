/** Holds what came out of a simulated run against what the model says. Throws a {@linkcode Violation} with the first thing that does not hold. */
import type { Log } from "../../src/log/log.ts";
import { unpackValue } from "../../src/record/value-bytes.ts";
import type { Windowed } from "../../src/stream/window.ts";
import type { Genes } from "./genes.ts";
import { eventOf, idOfLetter } from "./letters.ts";
import { type Logged, must, readInput, readTopic, textOf } from "./logged.ts";
import { type Expected, type ExpectedLate, expectedOf, type ExpectedResult, type LoggedInput, type Seen } from "./model.ts";
import type { Orders } from "./operator.ts";
import { policyAt } from "./policies.ts";
import type { Spend } from "./shop.ts";
import type { Fate, World } from "./world.ts";

const decoder = new TextDecoder();
const PLAIN = ["seen", "enriched", "merged", "large", "middle", "rest", "split", "sieved"];

/** Checks all outputs. Returns them as text, in an order of their own. */
export function checkOutputs(log: Log, genes: Genes, world: World, orders: Orders): string {
  const events = readInput(log, "events"), others = readInput(log, "others");
  const letters = firstLate(log, events);
  const seen = seenOf(log, orders);
  const expected = expectedOf(genes, world, events, others, seen);
  const isLoose = (id: string): boolean => world.isLoose(id) || seen.replayed(id) > 0;
  const isLooseInWindow = (id: string): boolean => isLoose(id) || expected.reread.has(id);
  const broken = expected.late.find(({ id }) => !isLooseInWindow(id));
  must(genes.mode === "tight" || broken === undefined, () => `the workload broke its bound: ${JSON.stringify(broken)}`);
  const trace: unknown[] = [];
  for (const topic of PLAIN) {
    const isUnordered = topic === "merged";
    if (log.partitionsOf(topic) !== null) trace.push(checkPlain(topic, readTopic(log, topic), expected.plain.get(topic) ?? new Map(), isUnordered, isLoose));
  }
  if (genes.window !== null) trace.push(checkResults("spend", readTopic(log, "spend"), expected.spend, true, isLooseInWindow));
  if (genes.groups !== null) trace.push(checkResults("groups", readTopic(log, "groups"), expected.groups, false, isLooseInWindow));
  trace.push(checkDead(readTopic(log, "events-dlq"), expected, events, genes, world, orders));
  trace.push(checkLate(letters, expected, genes, world));
  checkLateAgain(readTopic(log, "events-late"), orders);
  for (const id of expected.sunk) must(world.sunk.has(id), () => `${id} is done with, and the sink does not have it`);
  return JSON.stringify(trace);
}

/** What the model goes by where more than one thing may happen. */
export function seenOf(log: Log, orders: Orders): Seen {
  const events = readInput(log, "events");
  const effects = counted(readTopic(log, "seen").map(idOf));
  const results = log.partitionsOf("spend") === null ? [] : readTopic(log, "spend").map(({ value }) => unpackValue(value!) as Windowed<string, Spend>);
  const places = counted(results.map(({ key, start }) => `${key}@${start}`));
  const late = counted(
    firstLate(log, events).flatMap(({ step, id, missed }) => missed.map((start) => `${step} ${id} ${start}`)),
  );
  const dead = readTopic(log, "events-dlq");
  const letters = counted(dead.map((letter) => idOfLetter(letter, events)));
  const replayed = counted(dead.filter(({ position }) => orders.replays.has(position)).map((letter) => idOfLetter(letter, events)));
  return {
    effects: (id) => effects.get(id) ?? 0,
    results: (place) => places.get(place) ?? 0,
    letters: (id) => letters.get(id) ?? 0,
    replayed: (id) => replayed.get(id) ?? 0,
    seekOf: (partition) => orders.seeks.get(partition) ?? null,
    takeLate: (step, id, start) => {
      const place = `${step} ${id} ${start}`, count = late.get(place) ?? 0;
      late.set(place, count - 1);
      return count > 0;
    },
  };
}

function counted(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
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

function checkDead(letters: readonly Logged[], { dead }: Expected, events: readonly LoggedInput[], genes: Genes, world: World, orders: Orders): unknown {
  const came = letters.map((letter) => {
    const { headers, value } = letter;
    const id = idOfLetter(letter, events);
    const before = textOf(headers, "mr-replay-of");
    if (before !== "") {
      const state = orders.replays.get(Number(before.split("@")[1]));
      must(state !== undefined, () => `${id} failed as letter ${before}, which nobody had tried again`);
      must(!state.isMended || world.fateOf(id).times === 0, () => `${id} failed as letter ${before}, though what failed had been mended before`);
    }
    if (!id.includes("@") && before === "") {
      must(bytesText(value) === bytesText(eventOf(letter, events).bytes), () => `the dead letter of ${id} does not hold its bytes`);
    }
    if (world.badnessOf(id) === null) checkAttempts(id, Number(textOf(headers, "mr-attempts")), world.fateOf(id), genes);
    return id;
  }).sort();
  const due = [...dead].sort();
  must(came.join() === due.join(), () => `dead letters: ${differenceOf(came, due)}`);
  return came;
}

/** Who is given up was tried as often as its policy says: more often only where a try ended with its process. */
function checkAttempts(id: string, attempts: number, { step, times, how }: Fate, genes: Genes): void {
  const policy = policyAt(genes.policies, step);
  const least = times === 0 || how === "terminal" || policy.budgetMs !== null ? 1 : policy.attempts;
  must(attempts >= least, () => `${id} was given up after ${attempts} tries, its policy says ${least}`);
}

function bytesText(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : decoder.decode(bytes);
}

/** Late letters but for those of late letters. */
function firstLate(log: Log, events: readonly LoggedInput[]): ExpectedLate[] {
  return readTopic(log, "events-late").filter((letter) => !isLateAgain(letter)).map((letter) => lateLetterOf(letter, events));
}

function isLateAgain({ headers }: Logged): boolean {
  return textOf(headers, "mr-replay-of").startsWith("events-late@");
}

/** What is late stays so: each late letter that was tried again at its own time is there once more, and once. */
function checkLateAgain(letters: readonly Logged[], { lateReplays }: Orders): void {
  const came = new Map<number, Logged>();
  for (const letter of letters) {
    if (!isLateAgain(letter)) continue;
    const of = textOf(letter.headers, "mr-replay-of");
    const position = Number(of.split("@")[1]);
    must(lateReplays.has(position), () => `late letter ${letter.position} is of ${of}, which nobody had tried again`);
    must(!came.has(position), () => `late letter ${of} was tried again twice`);
    came.set(position, letter);
  }
  for (const [position, again] of came) {
    const [before, after] = [letters[position]!, again].map(({ headers, value }) =>
      `${textOf(headers, "mr-step")} ${textOf(headers, "mr-missed")} ${bytesText(value)}`
    );
    must(before === after, () => `late letter ${position} said ${before}, and tried again ${after}`);
  }
  for (const [position, state] of lateReplays) {
    must(state !== "done" || came.has(position), () => `late letter ${position} was tried again, and nothing is known of it`);
  }
}

function lateLetterOf(letter: Logged, events: readonly LoggedInput[]): ExpectedLate {
  const { headers, value } = letter;
  const id = textOf(headers, "mr-topic") === "events" ? eventOf(letter, events).id : (unpackValue(value!) as { readonly id: string }).id;
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

/** The first difference of two lists, with what lies around it. */
function differenceOf(came: readonly string[], due: readonly string[]): string {
  const at = came.findIndex((one, index) => one !== due[index]);
  const from = at < 0 ? came.length : at;
  const show = (list: readonly string[]): string => list.length <= from ? "nothing more" : list.slice(from, from + 3).join(" ");
  return `after ${from} alike came ${show(came)}, wanted ${show(due)} (${came.length} came, ${due.length} wanted)`;
}
