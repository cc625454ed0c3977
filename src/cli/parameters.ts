/** Parameters that several commands take, and how their texts are understood. */
import { type Duration, finiteDurationMs } from "../base/duration.ts";

/** One argument, by its place. */
export interface Positional<T> {
  readonly brief: string;
  readonly placeholder: string;
  readonly parse: (text: string) => T;
}

/** The module with the app: the first argument of every command. */
export const appFile: Positional<string> = { brief: "Module that exports the app, as `app` or as default", placeholder: "file", parse: (text) => text };

/** A flag that is there or not. */
export interface PlainFlag {
  readonly kind: "boolean";
  readonly brief: string;
  readonly withNegated: false;
  readonly default: false;
}

/** Makes a flag that is there or not. */
export function flag(brief: string): PlainFlag {
  return { kind: "boolean", brief, withNegated: false, default: false };
}

/** A flag with a value that need not be there. */
export interface TextFlag<T = string> {
  readonly kind: "parsed";
  readonly parse: (text: string) => T;
  readonly brief: string;
  readonly placeholder: string;
  readonly optional: true;
}

/** Makes a flag with a value that need not be there. */
export function textFlag<T = string>(brief: string, placeholder: string, parse: (text: string) => T): TextFlag<T> {
  return { kind: "parsed", parse, brief, placeholder, optional: true };
}

/** `--debug`. */
export const debug: PlainFlag = flag("Print stacks of errors");

/** A flag with one of few values, which need not be there. */
export interface ChoiceFlag<T extends string> {
  readonly kind: "enum";
  readonly values: readonly T[];
  readonly brief: string;
  readonly optional: true;
}

/** Makes a flag with one of few values. */
export function choiceFlag<T extends string>(brief: string, values: readonly T[]): ChoiceFlag<T> {
  return { kind: "enum", values, brief, optional: true };
}

/** Arguments of which there may be few or many. */
export interface TypedArguments {
  readonly kind: "array";
  readonly parameter: Positional<string>;
}

/** All arguments as they were typed, for commands that tell them apart by themselves. */
export function typedArguments(brief: string, placeholder: string): TypedArguments {
  return { kind: "array", parameter: { brief, placeholder, parse: (text) => text } };
}

/** Whole numbers within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max) throw new RangeError(`wanted a whole number from ${min} to ${max}`);
    return number;
  };
}

/** Times such as 30s, within bounds; gives milliseconds. `bounds` says them to people. */
export function time(name: string, minMs: number, maxMs: number, bounds: string): (text: string) => number {
  return (text) => {
    const ms = finiteDurationMs(text as Duration, `--${name}`);
    if (ms < minMs || ms > maxMs) throw new RangeError(`--${name} is ${text}, wanted ${bounds}`);
    return ms;
  };
}

/** Texts that say something. */
export function text(name: string): (text: string) => string {
  return (text) => {
    if (text.trim() === "") throw new RangeError(`--${name} is empty`);
    return text;
  };
}

/** The name of an environment variable; the fault is said without the text, which may be the secret itself. */
export function checkVariable(flag: string, name: string | undefined): Error | null {
  if (name === undefined || /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return null;
  return new Error(`--${flag} takes the name of an environment variable, not the token itself`);
}
