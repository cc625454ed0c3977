/** `millrace topology`: prints what an app consists of, without running it. */
import type { Runtime } from "../../runtime/runtime.ts";
import type { TopologyDescription } from "../../topology/describe.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { findApp } from "../find-app.ts";
import { appFile, debug, flag } from "../parameters.ts";

interface TopologyArguments {
  readonly file: string;
  readonly format: "text" | "json" | "mermaid";
  readonly json: boolean;
  readonly debug: boolean;
}

interface Flags {
  readonly json: boolean;
  readonly mermaid: boolean;
  readonly debug: boolean;
}

/** The command. Rejects with a DefinitionError that names every fault when the app is wrong. */
export const topologyCommand: CliCommand = defineCommand<Flags, [string], TopologyArguments>({
  brief: "Print the topology of an app, without running it",
  positional: { kind: "tuple", parameters: [appFile] },
  flags: { json: flag("Print JSON"), mermaid: flag("Print a Mermaid diagram"), debug },
  understand: ({ json, mermaid, debug }, file) => {
    if (json && mermaid) return new Error("Cannot print --json and --mermaid at once: choose one");
    return { file, format: json ? "json" : mermaid ? "mermaid" : "text", json, debug };
  },
  run: async ({ file, format }, { runtime, load }) => printTopology(format, (await findApp(file, load)).topology(), runtime),
});

function printTopology(
  format: TopologyArguments["format"],
  { mermaid, ...description }: TopologyDescription & { readonly mermaid: string },
  runtime: Runtime,
): void {
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
