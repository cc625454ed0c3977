/** `millrace topology`: prints what an app consists of, without running it. */
import type { Runtime } from "../runtime/runtime.ts";
import type { TopologyDescription } from "../topology/describe.ts";
import type { TopologyArguments } from "./arguments.ts";
import { findApp } from "./find-app.ts";

/** Prints the topology. Rejects with a DefinitionError that names every fault when it is wrong. */
export async function topologyCommand({ file, format }: TopologyArguments, runtime: Runtime, load: (file: string) => Promise<unknown>): Promise<void> {
  const { mermaid, ...description } = (await findApp(file, load)).topology();
  if (format === "json") runtime.print(JSON.stringify(description));
  else if (format === "mermaid") runtime.print(mermaid.trimEnd());
  else for (const line of topologyLines(description)) runtime.print(line);
}

/** The lines for people: each sub-topology with its steps, in the order records take. */
export function topologyLines({ app, topics, subTopologies }: TopologyDescription): readonly string[] {
  const lines = [`app "${app}": ${topics.length} topics, ${subTopologies.length} ${subTopologies.length === 1 ? "kind of task" : "kinds of tasks"}`];
  for (const sub of subTopologies) {
    lines.push("", `task ${sub.name}`, `  reads ${sub.reads.join(", ")}`);
    for (const step of sub.steps) {
      if (step.kind === "source") continue;
      const goes = [step.writes === null ? [] : [`to topic ${step.writes}`], step.stores.length === 0 ? [] : [`keeps ${step.stores.join(", ")}`]].flat();
      lines.push(
        `  ${step.inputs.join(", ")} → ${step.name}${step.kind === step.name ? "" : ` (${step.kind})`}${goes.length === 0 ? "" : `: ${goes.join("; ")}`}`,
      );
    }
  }
  return lines;
}
