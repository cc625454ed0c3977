/**
 * Conformance suites are data: a list of cases over one contract, which any runner can run, a test framework or a Worker that answers over HTTP.
 *
 * The assertions here need no framework. A case throws when the subject breaks the invariant that its name begins with.
 */

/** One case of a suite. */
export interface Case<T> {
  /** Begins with the invariant: `D2 write() past the end fills the gap with zeros`. */
  readonly name: string;
  /** A capability without which the case does not apply; the runner skips it and says so. */
  readonly needs?: string;
  /** Throws when the invariant does not hold. The subject is fresh and the case may use it up. */
  run(subject: T): Promise<void>;
}

/** How a case ended, as a Worker reports it. */
export interface CaseResult {
  readonly name: string;
  /** Null when it passed. */
  readonly error: string | null;
}

/** What a failed assertion throws. */
export class CaseFailure extends Error {
  override readonly name = "CaseFailure";
}

/** Throws unless `condition` holds. */
export function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new CaseFailure(message);
}

/** Throws unless both are the same value, or arrays, bytes and plain objects of the same values. */
export function checkEqual(actual: unknown, wanted: unknown, message: string): void {
  if (!isSame(actual, wanted)) throw new CaseFailure(`${message}: got ${show(actual)}, wanted ${show(wanted)}`);
}

/** Throws unless `fn` throws an error with one of the codes; returns the error. */
export function checkThrows(fn: () => unknown, codes: string | readonly string[], message: string): Error {
  let result: unknown;
  try {
    result = fn();
  } catch (error) {
    return checkCode(error, codes, message);
  }
  throw new CaseFailure(`${message}: got ${show(result)}, wanted an error with ${String(codes)}`);
}

/** Throws unless the promise rejects with one of the codes; returns the error. */
export async function checkRejects(promise: Promise<unknown>, codes: string | readonly string[], message: string): Promise<Error> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return checkCode(error, codes, message);
  }
  throw new CaseFailure(`${message}: got ${show(result)}, wanted a rejection with ${String(codes)}`);
}

/** Runs one case and says how it ended; never rejects. */
export async function runCase<T>(one: Case<T>, subject: T): Promise<CaseResult> {
  try {
    await one.run(subject);
    return { name: one.name, error: null };
  } catch (error) {
    return { name: one.name, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

function checkCode(error: unknown, codes: string | readonly string[], message: string): Error {
  const code = (error as { readonly code?: unknown } | null)?.code;
  const isWanted = typeof codes === "string" ? code === codes : codes.some((wanted) => wanted === code);
  if (error instanceof Error && isWanted) return error;
  throw new CaseFailure(
    `${message}: got ${error instanceof Error ? `${error.name} ${String(code)}: ${error.message}` : show(error)}, wanted ${String(codes)}`,
    { cause: error },
  );
}

function isSame(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right) || left instanceof Uint8Array !== right instanceof Uint8Array) return false;
  const leftKeys = Object.keys(left);
  const rightKeys = Object.keys(right);
  if (leftKeys.length !== rightKeys.length) return false;
  return leftKeys.every((key) => Object.hasOwn(right, key) && isSame((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key]));
}

const SHOWN_MAX = 300;

function show(value: unknown): string {
  const text = value instanceof Uint8Array
    ? `bytes [${value.join(" ")}]`
    : (JSON.stringify(value, (_key, one: unknown) => (typeof one === "bigint" ? `${one}n` : one)) ?? String(value));
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
