/**
 * A topology: all topics and steps of an app, checked as a whole and cut where records travel through a topic.
 *
 * Steps that are connected without a topic in between form a *sub-topology*; all readers of one topic are in one, so that it is read once. A task is a sub-topology on one
 * partition number.
 */
import { DefinitionError } from "../base/errors.ts";
import type { TopicDefinition, TopologyNode } from "./node.ts";

/** Steps that run together in a task. */
export interface SubTopology {
  /** Named after what it reads. */
  readonly name: string;
  readonly reads: readonly TopicDefinition[];
  readonly writes: readonly TopicDefinition[];
  /** Inputs come before those that use them. */
  readonly nodes: readonly TopologyNode[];
}

/** Everything an app runs, inert. */
export interface Topology {
  readonly app: string;
  readonly topics: readonly TopicDefinition[];
  readonly subTopologies: readonly SubTopology[];
}

/** Collects definitions and their faults. */
export class TopologyBuilder {
  readonly app: string;
  readonly #topics = new Map<string, TopicDefinition>();
  readonly #nodes: TopologyNode[] = [];
  readonly #names = new Map<string, number>();
  readonly #sources = new Map<string, TopologyNode>();
  readonly #faults = new Set<string>();
  #isSealed = false;

  constructor(app: string) {
    this.app = app;
  }

  /** Remembers what is wrong; `build` says it all at once. */
  fault(sentence: string): void {
    this.#faults.add(sentence);
  }

  /** The app has started: what is defined from here on would be ignored, so it is refused. */
  seal(): void {
    this.#isSealed = true;
  }

  /** Adds a topic; a second of the same name is a fault unless it is the same definition. */
  topic<T extends TopicDefinition>(definition: T): T {
    this.#checkOpen();
    const known = this.#topics.get(definition.name);
    if (known !== undefined && known !== definition) this.fault(`Topic "${definition.name}" is defined twice: use the first definition, or another name`);
    else this.#topics.set(definition.name, definition);
    return definition;
  }

  findTopic(name: string): TopicDefinition | undefined {
    return this.#topics.get(name);
  }

  /** The one node that reads a topic. Of a topic that no step read when the app started it is no part of the topology: tests look at what it reads. */
  source(topic: TopicDefinition): TopologyNode {
    const known = this.#sources.get(topic.name);
    if (known !== undefined) return known;
    const node: TopologyNode = {
      kind: "source",
      name: topic.name,
      inputs: [],
      reads: topic,
      writes: null,
      stores: [],
      policy: topic.policy,
      clockDelayMs: null,
      concurrency: 1,
      build: (_context, next) => ({ push: next }),
    };
    if (this.#isSealed) return node;
    this.#sources.set(topic.name, node);
    return this.add(node);
  }

  /** Adds a step. A second one of the same name is a fault: state, policies and dead letters go by it. A source is named after its topic; steps without state are numbered by their caller. */
  add(node: TopologyNode): TopologyNode {
    this.#checkOpen();
    const before = this.#names.get(node.name) ?? 0;
    this.#names.set(node.name, before + 1);
    if (before > 0) {
      this.fault(`Two steps are named "${node.name}": give one of them a name of its own`);
    }
    this.#nodes.push(node);
    return node;
  }

  /** A name that no step has yet, for steps without state. */
  freeName(base: string): string {
    if (!this.#names.has(base)) return base;
    for (let n = 2;; n++) if (!this.#names.has(`${base}-${n}`)) return `${base}-${n}`;
  }

  #checkOpen(): void {
    if (this.#isSealed) throw new DefinitionError(`Cannot define more of app "${this.app}": it has started`);
  }

  /** The topology, or one `DefinitionError` with every fault. */
  build(): Topology {
    if (this.#faults.size > 0) {
      const faults = [...this.#faults];
      const list = faults.length === 1 ? ` ${faults[0]!}` : `\n${faults.map((fault) => `- ${fault}`).join("\n")}`;
      throw new DefinitionError(`Cannot use app "${this.app}":${list}`, { faults });
    }
    return { app: this.app, topics: [...this.#topics.values()], subTopologies: split(this.#nodes) };
  }
}

function split(nodes: readonly TopologyNode[]): SubTopology[] {
  const parent = new Map<TopologyNode, TopologyNode>();
  const root = (node: TopologyNode): TopologyNode => {
    let at = node;
    while (parent.get(at) !== undefined) at = parent.get(at)!;
    return at;
  };
  for (const node of nodes) {
    for (const input of node.inputs) {
      const a = root(node), b = root(input);
      if (a !== b) parent.set(a, b);
    }
  }
  const groups = new Map<TopologyNode, TopologyNode[]>();
  for (const node of nodes) {
    const key = root(node);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [node]);
    else group.push(node);
  }
  const all: SubTopology[] = [];
  for (const group of groups.values()) {
    const reads = group.flatMap((node) => node.reads === null ? [] : [node.reads]);
    const writes = [...new Set(group.flatMap((node) => node.writes === null ? [] : [node.writes]))];
    // Nodes are added after their inputs, so that the order of definition is a topological one.
    all.push({ name: reads.map((topic) => topic.name).sort().join("+"), reads, writes, nodes: group });
  }
  return all.filter((sub) => sub.reads.length > 0 && sub.nodes.length > sub.reads.length);
}

/** How many partitions each topic gets: its own number, what the log has, or what its writers read. */
export function partitionCounts(topology: Topology, existing: (topic: string) => number | null): Map<string, number> {
  const counts = new Map<string, number>();
  for (const topic of topology.topics) {
    const count = topic.partitions ?? existing(topic.name);
    if (count !== null) counts.set(topic.name, count);
  }
  const writers = (topic: TopicDefinition) => topology.subTopologies.filter((sub) => sub.writes.includes(topic));
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (const topic of topology.topics) {
      if (counts.has(topic.name)) continue;
      const subs = writers(topic);
      if (subs.some((sub) => sub.reads.some((read) => !counts.has(read.name)))) continue;
      counts.set(topic.name, Math.max(1, ...subs.flatMap((sub) => sub.reads.map((read) => counts.get(read.name)!))));
      isSettled = false;
    }
  }
  // What is left writes to itself in a circle.
  for (const topic of topology.topics) if (!counts.has(topic.name)) counts.set(topic.name, 1);
  return counts;
}
