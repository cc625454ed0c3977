/** Which partitions a worker has, and which tasks they make. */
import { assert } from "../base/assert.ts";
import type { TopicPartition } from "../record/record.ts";
import type { TopicDefinition } from "../topology/node.ts";
import type { SubTopology, Topology } from "../topology/topology.ts";
import type { Task } from "./task.ts";
import type { MissingTask } from "./task-restore.ts";

/** The partitions of one worker. */
export class Assignment {
  readonly #topology: Topology;
  /** Of each topic, how many there are. */
  readonly #counts: ReadonlyMap<string, number>;
  #partitions: readonly TopicPartition[] = [];
  #version = 0;
  /** Told when that changes, or the worker ends. */
  readonly #waiters = new Set<() => void>();

  constructor(topology: Topology, counts: ReadonlyMap<string, number>) {
    this.#topology = topology;
    this.#counts = counts;
  }

  /** How often it has changed. */
  get version(): number {
    return this.#version;
  }

  get isEmpty(): boolean {
    return this.#partitions.length === 0;
  }

  has({ topic, partition }: TopicPartition): boolean {
    return this.#partitions.some((at) => at.topic === topic && at.partition === partition);
  }

  add(partitions: readonly TopicPartition[]): void {
    this.#partitions = [...this.#partitions, ...partitions];
    this.changed();
  }

  remove(isGone: (at: TopicPartition) => boolean): void {
    this.#partitions = this.#partitions.filter((at) => !isGone(at));
    this.changed();
  }

  /** Partitions came or went, or the worker ends: what was begun for them may be wanted no more. */
  changed(): void {
    this.#version++;
    for (const fn of [...this.#waiters]) fn();
  }

  /** Calls `fn` when it changes, until the returned function is called. */
  onChange(fn: () => void): () => void {
    this.#waiters.add(fn);
    return () => this.#waiters.delete(fn);
  }

  /** How many partitions a topic has. */
  countOf(topic: string): number {
    const count = this.#counts.get(topic);
    assert(count !== undefined, `topic "${topic}" is known to the worker`);
    return count;
  }

  /** The tasks whose partitions are all here and that are not among `tasks`. */
  missing(tasks: readonly Task[]): MissingTask[] {
    const wanted = this.#topology.subTopologies.flatMap((sub) => this.#numbersOf(sub).map((partition) => ({ sub, partition })));
    return wanted.filter(({ sub, partition }) => !tasks.some((task) => task.name === sub.name && task.partition === partition));
  }

  /** What a task reads. */
  inputsOf({ sub, partition }: MissingTask): TopicPartition[] {
    return sub.reads.filter((topic) => partition < this.countOf(topic.name)).map((topic) => ({ topic: topic.name, partition }));
  }

  /** The tasks, of all workers, that write an internal topic. */
  writersOf(topic: TopicDefinition): string[] {
    return this.#topology.subTopologies.filter((sub) => sub.writes.includes(topic)).flatMap((sub) => {
      const count = this.#tasksOf(sub);
      return Array.from({ length: count }, (_, partition) => `${sub.name}/${partition}`);
    });
  }

  #numbersOf(sub: SubTopology): number[] {
    const numbers = Array.from({ length: this.#tasksOf(sub) }, (_, index) => index);
    return numbers.filter((partition) => this.inputsOf({ sub, partition }).every((at) => this.has(at)));
  }

  #tasksOf(sub: SubTopology): number {
    return Math.max(...sub.reads.map((topic) => this.countOf(topic.name)));
  }
}
