/** Errors, as the command line says them: what is wrong and where, every fault of a definition, no stack unless it is asked for. */
import { isStreamError, messageOf } from "../base/errors.ts";

/** How to say it. */
export interface FailureOptions {
  readonly json: boolean;
  /** With stacks. */
  readonly debug: boolean;
}

/** An error in words, and the code to exit with: 2 when what the user wrote must change, else 1. */
export function describeFailure(thrown: unknown, { json, debug }: FailureOptions): { readonly text: string; readonly exitCode: 1 | 2 } {
  const isOurs = isStreamError(thrown);
  const exitCode = isOurs && thrown.name === "DefinitionError" ? 2 : 1;
  const stack = debug && thrown instanceof Error ? thrown.stack ?? null : null;
  const name = thrown instanceof Error ? thrown.name : "Error";
  if (json) {
    const faults = isOurs ? (thrown as { readonly faults?: readonly string[] }).faults : undefined;
    return {
      text: JSON.stringify({ type: "error", name, code: isOurs ? thrown.code : null, message: messageOf(thrown), faults, stack: stack ?? undefined }),
      exitCode,
    };
  }
  const lines = [isOurs ? `${thrown.code}: ${thrown.message}` : `${name}: ${messageOf(thrown)}`, ...causes(thrown)];
  if (stack !== null) lines.push(stack);
  else if (!isOurs) lines.push("(--debug shows the stack)");
  return { text: lines.join("\n"), exitCode };
}

/** Causes that are named at most. */
const CAUSES_MAX = 3;

function causes(thrown: unknown): string[] {
  const lines: string[] = [];
  let said = messageOf(thrown);
  for (let cause = causeOf(thrown); cause !== undefined && lines.length < CAUSES_MAX; cause = causeOf(cause)) {
    const message = messageOf(cause);
    // Often it is told in what it caused.
    if (!said.includes(message)) lines.push(`  because ${message}`);
    said = message;
  }
  return lines;
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause ?? undefined : undefined;
}
