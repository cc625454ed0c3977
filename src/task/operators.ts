/** The operators of one task, wired up, and what event time makes them do. */
import { assert } from "../base/assert.ts";
import type { HeaderField, Payload } from "../record/record.ts";
import type { RecordMeta } from "../record/meta.ts";
import { anyKeys } from "../record/key.ts";
import { packValue } from "../record/value-bytes.ts";
import type { StoreSpec } from "../state/storage.ts";
import type { StateStore } from "../state/store.ts";
import type { Budget, ClockCell, OperatorContext, Output, Policy, Push, TimedOperator, TopicDefinition, TopologyNode } from "../topology/node.ts";
import type { SubTopology } from "../topology/topology.ts";
import { InputClock } from "./input-clock.ts";
import type { TopicOutput } from "./outputs.ts";
import { StepInput } from "./step-input.ts";
import { StepResults } from "./step-results.ts";
import type { Task } from "./task.ts";

/** A place where event time goes on after something was done about it. */
interface ClockStep {
  /** False when the budget was used up before all was done. */
  advance(budget: Budget): boolean;
  isDue(): boolean;
  /** The clock at which something is due, as the task's clock sees it. */
  dueAt(): number;
}

/** The operators of one task. */
export interface Operators {
  /** Where records of an input go. */
  entry(topic: TopicDefinition): Push;
  readonly results: ReadonlyMap<string, StepResults>;
  /** Where results of a step go. */
  resume(results: StepResults): Push;
  /** The steps that a record may enter by themselves. */
  readonly stepInputs: readonly StepInput[];
  /** Where records of a step go in. */
  into(input: StepInput): Push;
  /** The clock by which they are late there. */
  clockInto(input: StepInput): ClockCell;
  /** The topic of the user's that the records of an entrance stem from. */
  originOf(entrance: StepResults | StepInput): string;
  policyOf(step: string): Policy | null;
  /** The policy of the topic that the records of an entrance stem from. */
  sourcePolicyOf(entrance: StepResults | StepInput): Policy | null;
  /** Does what event time has made due; false when the budget was used up before. */
  fire(budget: Budget): boolean;
  isDue(): boolean;
  dueAt(): number;
  saveClocks(): readonly (readonly [string, number])[];
  loadClocks(saved: readonly (readonly [string, number])[]): void;
}

/** Builds the operators of a task; inputs of a node come before it. */
export function buildOperators(task: Task, subTopology: SubTopology, source: ClockCell): Operators {
  const { nodes } = subTopology;
  const cells = new Map<TopologyNode, { readonly clock: ClockCell; readonly outClock: ClockCell }>();
  const outClocks = new Map<string, InputClock>();
  const steps: ClockStep[] = [];
  for (const node of nodes) {
    const inputs = [...new Set(node.inputs.map((input) => cells.get(input)!.outClock))];
    const clock = inputs.length === 0 ? source : inputs.length === 1 ? inputs[0]! : new MergedClock(inputs);
    let outClock = clock;
    if (node.clockDelayMs !== null) {
      const own = new InputClock(0, null);
      outClocks.set(node.name, own);
      outClock = own;
    }
    cells.set(node, { clock, outClock });
  }

  const pushes = new Map<TopologyNode, Push>();
  const nexts = new Map<string, Push>();
  const results = new Map<string, StepResults>();
  /** By entrance: the source that its records stem from. */
  const sources = new Map<string, TopologyNode>();
  const policies = new Map<string, Policy>();
  const timed = new Map<TopologyNode, TimedOperator>();
  const stepInputs = new Map<StepInput, { readonly push: Push; readonly clock: ClockCell }>();
  for (const node of [...nodes].reverse()) {
    const next = fanOut(nodes.filter((other) => other.inputs.includes(node)).map((child) => pushes.get(child)!));
    const { clock, outClock } = cells.get(node)!;
    const ownResults = new StepResults(node.name, outClocks.get(node.name) ?? null, node.name, task.partition);
    const operator = node.build(new NodeContext(task, node, clock, outClock, next, ownResults, originOf(sourceOf(node))), next);
    pushes.set(node, operator.push);
    nexts.set(ownResults.id, next);
    sources.set(ownResults.id, sourceOf(node));
    if (node.reads === null) {
      const input = new StepInput(node.name);
      stepInputs.set(input, { push: operator.push, clock });
      sources.set(input.id, sourceOf(node));
    }
    if (node.policy !== null && node.reads === null) policies.set(node.name, node.policy);
    if (operator.timed !== undefined) {
      timed.set(node, operator.timed);
      results.set(ownResults.id, ownResults);
    }
  }
  for (const node of nodes) {
    const { clock } = cells.get(node)!;
    const operator = timed.get(node) ?? null;
    const own = outClocks.get(node.name) ?? null;
    if (operator === null && own === null) continue;
    steps.push(new TimedStep(operator, clock, own, node.clockDelayMs ?? 0));
  }

  return {
    entry: (topic) => {
      const node = nodes.find(({ reads }) => reads === topic);
      assert(node !== undefined, `topic "${topic.name}" has a source`);
      return pushes.get(node)!;
    },
    results,
    resume: (entrance) => nexts.get(entrance.id)!,
    stepInputs: [...stepInputs.keys()],
    into: (input) => stepInputs.get(input)!.push,
    clockInto: (input) => stepInputs.get(input)!.clock,
    originOf: (entrance) => originOf(sources.get(entrance.id)!),
    policyOf: (step) => policies.get(step) ?? null,
    sourcePolicyOf: (entrance) => sources.get(entrance.id)!.policy,
    fire: (budget) => {
      for (const step of steps) if (!step.advance(budget)) return false;
      return true;
    },
    isDue: () => steps.some((step) => step.isDue()),
    dueAt: () => steps.reduce((least, step) => Math.min(least, step.dueAt()), Infinity),
    saveClocks: () => [...outClocks].map(([name, { seen }]) => [name, seen] as const),
    loadClocks: (saved) => {
      for (const [name, seen] of saved) {
        const clock = outClocks.get(name);
        if (clock !== undefined) clock.seen = seen;
      }
    },
  };
}

class TimedStep implements ClockStep {
  readonly #operator: TimedOperator | null;
  readonly #clock: ClockCell;
  readonly #out: InputClock | null;
  readonly #delayMs: number;

  constructor(operator: TimedOperator | null, clock: ClockCell, out: InputClock | null, delayMs: number) {
    this.#operator = operator;
    this.#clock = clock;
    this.#out = out;
    this.#delayMs = delayMs;
  }

  advance(budget: Budget): boolean {
    const clock = this.#clock.safe;
    if (this.#operator !== null && this.#operator.dueAt() <= clock && !this.#operator.fire(budget)) return false;
    // What is due was said: only then may those behind learn how late it is.
    if (this.#out !== null) this.#out.observe(clock - this.#delayMs);
    return true;
  }

  isDue(): boolean {
    return this.#operator !== null && this.#operator.dueAt() <= this.#clock.safe;
  }

  dueAt(): number {
    return this.#operator === null ? Infinity : this.#operator.dueAt();
  }
}

/** The least of several clocks. */
class MergedClock implements ClockCell {
  readonly #inputs: readonly ClockCell[];
  constructor(inputs: readonly ClockCell[]) {
    this.#inputs = inputs;
  }
  get late(): number {
    let late = Infinity;
    for (const input of this.#inputs) if (input.late < late) late = input.late;
    return late;
  }
  get safe(): number {
    let safe = Infinity;
    for (const input of this.#inputs) if (input.safe < safe) safe = input.safe;
    return safe;
  }
}

class NodeContext implements OperatorContext {
  readonly partition: number;
  readonly step: string;
  readonly clock: ClockCell;
  readonly outClock: ClockCell;
  readonly #task: Task;
  readonly #next: Push;
  readonly #results: StepResults;
  readonly #origin: string;

  constructor(task: Task, node: TopologyNode, clock: ClockCell, outClock: ClockCell, next: Push, results: StepResults, origin: string) {
    this.#task = task;
    this.partition = task.partition;
    this.step = node.name;
    this.clock = clock;
    this.outClock = outClock;
    this.#next = next;
    this.#results = results;
    this.#origin = origin;
  }

  now(): number {
    return this.#task.now();
  }

  arrivedAt(): number {
    return this.#task.arrivedAt();
  }

  enter(): void {
    this.#task.enter(this.step);
  }

  store(spec: StoreSpec): StateStore {
    return this.#task.store(spec);
  }

  output(topic: TopicDefinition): Output {
    return this.#task.output(topic, this.clock);
  }

  emit(output: Output, key: Payload | null, value: Payload | null, timestamp: number, headers: readonly HeaderField[] | null): void {
    this.#task.emit(output as TopicOutput, key, value, timestamp, headers);
  }

  suspend(promise: PromiseLike<unknown>, resume: (value: unknown) => void): void {
    this.#task.suspend(promise, resume);
  }

  fire(key: unknown, keyId: string, value: unknown, timestamp: number): boolean {
    return this.#task.fire(this.#results, this.#next, key, keyId, value, timestamp);
  }

  handOut(value: unknown): unknown {
    return this.#task.handOut(value);
  }

  skipped(reason: string): void {
    this.#task.skipped(reason);
  }

  late(meta: RecordMeta, value: unknown, latenessMs: number, missed: readonly { readonly start: number; readonly end: number }[], toTopic: boolean): void {
    const key = meta.key === null ? null : anyKeys.encode(meta.key);
    const packed = toTopic && value !== undefined ? packValue(value) : null;
    this.#task.late(this.step, this.#origin, meta, key, packed, latenessMs, missed, toTopic);
  }

  flushed(): Promise<void> {
    return this.#task.flushed();
  }
}

function fanOut(children: readonly Push[]): Push {
  if (children.length === 0) return () => {};
  if (children.length === 1) return children[0]!;
  return (value, meta) => {
    for (let i = 0; i < children.length; i++) children[i]!(value, meta);
  };
}

/** The source that a step's records stem from: the first, where there are several. */
function sourceOf(node: TopologyNode): TopologyNode {
  let at = node;
  while (at.inputs.length > 0) at = at.inputs[0]!;
  return at;
}

/** The topic of the user's that it stands for. */
function originOf(source: TopologyNode): string {
  return source.reads?.origin ?? source.name;
}
