/** The part of Standard Schema that is used: schemas of any library that speaks it fit as they are. */
import { type Awaitable, isThenable } from "../base/awaitable.ts";
import { DecodeError, messageOf } from "../base/errors.ts";

/** The part of Standard Schema that Millrace calls; valibot, zod and arktype schemas are assignable as they are. */
export interface Schema<out Output = unknown, out Input = unknown> {
  /** All that a schema has to say. */
  readonly "~standard": SchemaProps<Output, Input>;
}

/** What hangs on a schema's `~standard`. */
export interface SchemaProps<out Output = unknown, out Input = unknown> {
  /** Of Standard Schema. */
  readonly version: 1;
  /** The library it is of. */
  readonly vendor: string;
  /** The value as the schema makes it, or what is wrong with it. */
  readonly validate: (value: unknown) => Awaitable<SchemaResult<Output>>;
  /** What goes in and comes out; of types only. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing wrong with a value. */
export interface SchemaIssue {
  /** For people. */
  readonly message: string;
  /** Where in the value. @default the value itself */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What comes out of a schema. */
export type SchemaOutput<S> = S extends Schema<infer Output> ? Output : unknown;

/** An issue as it lies in the details of a `SCHEMA_MISMATCH`: `{ path: "a.b[0]", message }`; the path of the whole value is empty. */
export interface IssueDetail {
  readonly path: string;
  readonly message: string;
}

/** Issues shown in the message of an error. */
const ISSUES_SHOWN_MAX = 3;

/**
 * The value as its schema makes it. A promise only when the schema answers with one: await nothing but thenables.
 * Throws, or rejects with, DecodeError `SCHEMA_MISMATCH`, the issues in `details.issues`; a schema that throws is a mismatch too, its error the cause.
 */
export function check<Output>(schema: Schema<Output>, value: unknown): Output | Promise<Output> {
  let result: Awaitable<SchemaResult<Output>>;
  try {
    result = schema["~standard"].validate(value);
  } catch (cause) {
    throw schemaFailed(cause);
  }
  return isThenable(result) ? checkLater(result) : accepted(result);
}

async function checkLater<Output>(result: PromiseLike<SchemaResult<Output>>): Promise<Output> {
  let settled: SchemaResult<Output>;
  try {
    settled = await result;
  } catch (cause) {
    throw schemaFailed(cause);
  }
  return accepted(settled);
}

function accepted<Output>(result: SchemaResult<Output>): Output {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(issueDetail);
  const shown = issues.slice(0, ISSUES_SHOWN_MAX).map((issue) => (issue.path === "" ? issue.message : `${issue.path}: ${issue.message}`)).join("; ");
  const more = issues.length > ISSUES_SHOWN_MAX ? `; and ${issues.length - ISSUES_SHOWN_MAX} more` : "";
  throw new DecodeError("SCHEMA_MISMATCH", `Value does not fit its schema: ${shown}${more}`, { details: { issues } });
}

function schemaFailed(cause: unknown): DecodeError {
  const message = `The schema failed: ${messageOf(cause)}`;
  return new DecodeError("SCHEMA_MISMATCH", `Value does not fit its schema: ${message}`, { cause, details: { issues: [{ path: "", message }] } });
}

function issueDetail(issue: SchemaIssue): IssueDetail {
  let path = "";
  for (const segment of issue.path ?? []) path += pathText(typeof segment === "object" ? segment.key : segment, path === "");
  return { path, message: issue.message };
}

function pathText(key: PropertyKey, isFirst: boolean): string {
  if (typeof key === "number" || typeof key === "symbol") return `[${String(key)}]`;
  if (!/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(key)) return `[${JSON.stringify(key)}]`;
  return isFirst ? key : `.${key}`;
}
