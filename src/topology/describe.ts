/** What a topology looks like, for people and tools. */
import { changelogName } from "./changelog-name.ts";
import type { Topology } from "./topology.ts";

/** A topology as JSON can hold it. */
export interface TopologyDescription {
  /** Its name. */
  readonly app: string;
  /** All it reads and writes; the number of partitions is null while nobody knows. */
  readonly topics: readonly { readonly name: string; readonly partitions: number | null; readonly internal: boolean }[];
  /** Steps that hang together: one task a partition each. */
  readonly subTopologies: readonly {
    readonly name: string;
    readonly reads: readonly string[];
    readonly writes: readonly string[];
    /** Where its state is said on a log that does not hold it. */
    readonly changelog: string;
    readonly steps: readonly {
      readonly name: string;
      readonly kind: string;
      readonly inputs: readonly string[];
      readonly writes: string | null;
      readonly stores: readonly string[];
    }[];
  }[];
}

/** Describes a topology; `partitions` says how many a topic has, where that is known. */
export function describeTopology({ app, topics, subTopologies }: Topology, partitions: (topic: string) => number | null): TopologyDescription {
  return {
    app,
    topics: topics.map(({ name, isInternal, partitions: own }) => ({ name, partitions: partitions(name) ?? own, internal: isInternal })),
    subTopologies: subTopologies.map(({ name, reads, writes, nodes }) => ({
      name,
      reads: reads.map((topic) => topic.name),
      writes: writes.map((topic) => topic.name),
      changelog: changelogName(app, name),
      steps: nodes.map((node) => ({
        name: node.name,
        kind: node.kind,
        inputs: node.inputs.map((input) => input.name),
        writes: node.writes?.name ?? null,
        stores: node.stores.map((store) => store.name),
      })),
    })),
  };
}

/** The same as a Mermaid flow chart: topics as cylinders, one box a sub-topology. */
export function mermaidOf(description: TopologyDescription): string {
  const ids = new Map<string, string>();
  const id = (kind: string, name: string): string => {
    const key = `${kind}:${name}`;
    if (!ids.has(key)) ids.set(key, `${kind}${ids.size}`);
    return ids.get(key)!;
  };
  const label = (text: string): string => `"${text.replaceAll('"', "#quot;")}"`;
  const lines = ["flowchart LR"];
  for (const topic of description.topics) {
    lines.push(`  ${id("topic", topic.name)}[(${label(topic.partitions === null ? topic.name : `${topic.name} × ${topic.partitions}`)})]`);
  }
  for (const sub of description.subTopologies) {
    lines.push(`  subgraph ${id("sub", sub.name)}[${label(sub.name)}]`);
    for (const step of sub.steps) if (step.kind !== "source") lines.push(`    ${id("step", step.name)}[${label(`${step.kind}: ${step.name}`)}]`);
    lines.push("  end");
    for (const step of sub.steps) {
      for (const input of step.inputs) {
        const source = sub.steps.find(({ name, kind }) => name === input && kind === "source");
        lines.push(`  ${source === undefined ? id("step", input) : id("topic", input)} --> ${id("step", step.name)}`);
      }
      if (step.writes !== null) lines.push(`  ${id("step", step.name)} --> ${id("topic", step.writes)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
