/** How a command is written: what it takes, by `@stricli/core`, which is imported nowhere else; and what it does with it. Arguments are understood here, nothing is run. */
import { buildApplication, buildCommand, buildRouteMap, type Command, type RouteMap, run } from "@stricli/core";
import type { CommandContext, FlagParametersForType, StricliProcess, TypedPositionalParameters } from "@stricli/core";
import type { Runtime } from "../runtime/runtime.ts";
import type { Supervised } from "./supervised.ts";

/** What a command has to work with. */
export interface CommandHost {
  readonly runtime: Runtime;
  /** Imports a module of the user's. */
  readonly load: (file: string) => Promise<unknown>;
  /** Sends requests to a process that runs. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The module that ran this, by its path: started again for each worker. Undefined: there are no workers. */
  readonly program: string | undefined;
  /** As they were typed. */
  readonly args: readonly string[];
  /** Whoever started this process to be a worker; null: nobody did. */
  readonly supervised: Supervised | null;
}

/** What every command is asked: how failures are said. */
export interface CommonArguments {
  readonly json: boolean;
  /** With stacks of errors. */
  readonly debug: boolean;
}

/** One command. */
export interface CommandOptions<Flags, Positionals extends readonly unknown[], Asked extends CommonArguments> {
  /** One line, for the list of commands. */
  readonly brief: string;
  /** More of it, lines for `--help`. */
  readonly description?: readonly string[];
  /** What follows the command in the usage line, where it is more than stricli finds out by itself. */
  readonly usage?: string;
  readonly positional: TypedPositionalParameters<Positionals, ParseContext>;
  readonly flags: FlagParametersForType<Flags, ParseContext>;
  /** What was asked for, of what was typed; an Error says what does not fit together. */
  readonly understand: (flags: Flags, ...positionals: Positionals) => Asked | Error;
  /** Does it. Gives the exit code, if it is not 0. Rejects with what went wrong. */
  readonly run: (asked: Asked, host: CommandHost) => Promise<number | void>;
}

/** A command that was asked for. */
export interface Invocation {
  readonly asked: CommonArguments;
  /** Does it. Gives the exit code; rejects with what went wrong. */
  readonly run: (host: CommandHost) => Promise<number>;
}

/** Nothing to run: help, the version, or what is wrong with the arguments. */
export interface Answer {
  readonly out: string;
  readonly error: string;
  /** 0, or 2 for wrong arguments. */
  readonly exitCode: 0 | 2;
}

interface ParseContext extends CommandContext {
  readonly process: StricliProcess;
  parsed: Invocation | null;
}

/** A command, for the table of them. */
export type CliCommand = Command<ParseContext>;
/** Commands below one word, such as `dlq`. */
export type CliGroup = RouteMap<ParseContext>;

/** Makes a command. */
export function defineCommand<
  Flags extends Readonly<Partial<Record<keyof Flags, unknown>>>,
  Positionals extends readonly unknown[],
  Asked extends CommonArguments,
>(
  { brief, description, usage, positional, flags, understand, run }: CommandOptions<Flags, Positionals, Asked>,
): CliCommand {
  return buildCommand<Flags, Positionals, ParseContext>({
    docs: {
      brief,
      ...(description === undefined ? {} : { fullDescription: description.join("\n") }),
      ...(usage === undefined ? {} : { customUsage: [usage] }),
    },
    parameters: { positional, flags } as never,
    func(this: ParseContext, typed: Flags, ...positionals: Positionals): Error | void {
      const asked = understand(typed, ...positionals);
      if (asked instanceof Error) return asked;
      this.parsed = { asked, run: async (host) => await run(asked, host) ?? 0 };
    },
  });
}

/** Puts commands below one word. */
export function commandGroup(brief: string, routes: Readonly<Record<string, CliCommand | CliGroup>>): CliGroup {
  return buildRouteMap({ routes, docs: { brief } });
}

/** Understands what was typed; `version` is what `--version` answers. Never throws for what a user typed. */
export async function understand(commands: CliGroup, args: readonly string[], version: string): Promise<Invocation | Answer> {
  const application = buildApplication(commands, {
    name: "millrace",
    versionInfo: { currentVersion: version },
    scanner: { caseStyle: "allow-kebab-for-camel" },
    documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true, onlyRequiredInUsageLine: true },
  });
  const out: string[] = [];
  const error: string[] = [];
  const context: ParseContext = {
    parsed: null,
    process: {
      stdout: { write: (text: string) => void out.push(text) },
      stderr: { write: (text: string) => void error.push(text) },
      exitCode: null,
    },
  };
  await run(application, args, context);
  if (context.parsed !== null) return context.parsed;
  const isWrong = context.process.exitCode !== 0;
  const complaint = error.join("").trimEnd();
  return {
    out: out.join("").trimEnd(),
    error: isWrong && !complaint.includes("--help") ? `${complaint}\nSee millrace --help` : complaint,
    exitCode: isWrong ? 2 : 0,
  };
}
