/**
 * The part of `bun:test` that the tests use, over `node:test` and `expect`, for Node and Deno. Under Bun this file is not loaded.
 *
 * Groups are flattened to `group > test`: so a test is one line and one count on every runtime, and hooks run in the same order everywhere. Tests of a file run one after another.
 */
import { after, test as nodeTest } from "node:test";
import { expect as jestExpect } from "expect";

/** As in `expect`. */
export const expect: typeof jestExpect = jestExpect;

type Body = () => unknown;

interface Scope {
  readonly name: string | null;
  readonly parent: Scope | null;
  readonly isSkipped: boolean;
  readonly beforeAll: Body[];
  readonly afterAll: Body[];
  readonly beforeEach: Body[];
  readonly afterEach: Body[];
  /** Tests of this scope and those inside of it that are still to end. */
  remaining: number;
  /** The run of `beforeAll`, once begun. */
  opened: Promise<void> | null;
}

const root: Scope = makeScope(null, null, false);
let current: Scope = root;
/** Tests of a group are handed over once the outermost group is complete, so that `remaining` is right before the first one runs. */
let waiting: (() => void)[] = [];

function makeScope(name: string | null, parent: Scope | null, isSkipped: boolean): Scope {
  return { name, parent, isSkipped, beforeAll: [], afterAll: [], beforeEach: [], afterEach: [], remaining: 0, opened: null };
}

/** From the outermost scope to the innermost. */
function scopesOf(scope: Scope): readonly Scope[] {
  return scope.parent === null ? [scope] : [...scopesOf(scope.parent), scope];
}

async function runAll(bodies: readonly Body[]): Promise<void> {
  for (const body of bodies) await body();
}

async function runInScope(scope: Scope, body: Body): Promise<void> {
  const scopes = scopesOf(scope);
  const failures: unknown[] = [];
  const attempt = async (step: () => unknown): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(async () => {
    for (const one of scopes) await (one.opened ??= runAll(one.beforeAll));
    for (const one of scopes) await runAll(one.beforeEach);
    await body();
  });
  for (const one of scopes.toReversed()) await attempt(() => runAll(one.afterEach));
  for (const one of scopes.toReversed()) {
    one.remaining--;
    if (one.remaining === 0 && one !== root) await attempt(() => runAll(one.afterAll));
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `The test and its hooks failed: ${failures.map(String).join("; ")}`);
}

function add(name: string, body: Body, mode: { readonly isSkipped: boolean }): void {
  const scope = current;
  const scopes = scopesOf(scope);
  const title = [...scopes.flatMap((one) => one.name ?? []), name].join(" > ");
  const isSkipped = mode.isSkipped || scopes.some((one) => one.isSkipped);
  if (!isSkipped) for (const one of scopes) one.remaining++;
  const register = (): void => {
    if (isSkipped) void nodeTest(title, { skip: true }, () => undefined);
    else void nodeTest(title, () => runInScope(scope, body));
  };
  if (scope === root) register();
  else waiting.push(register);
}

function group(name: string, body: () => void, isSkipped: boolean): void {
  const outer = current;
  current = makeScope(name, outer, isSkipped);
  try {
    body();
  } finally {
    current = outer;
  }
  if (outer !== root) return;
  const registrations = waiting;
  waiting = [];
  for (const register of registrations) register();
}

type Add<Fn extends Body> = (name: string, body: Fn, options?: unknown) => void;

interface Adder<Fn extends Body> extends Add<Fn> {
  readonly skip: Add<Fn>;
  readonly skipIf: (condition: unknown) => Add<Fn>;
  readonly if: (condition: unknown) => Add<Fn>;
  readonly each: <Row>(rows: readonly Row[]) => (name: string, body: (...row: Row extends readonly unknown[] ? Row : [Row]) => unknown) => void;
}

function adder<Fn extends Body>(addOne: (name: string, body: Body, isSkipped: boolean) => void): Adder<Fn> {
  return Object.assign((name: string, body: Fn) => addOne(name, body, false), {
    skip: (name: string, body: Fn) => addOne(name, body, true),
    skipIf: (condition: unknown) => (name: string, body: Fn) => addOne(name, body, Boolean(condition)),
    if: (condition: unknown) => (name: string, body: Fn) => addOne(name, body, !condition),
    each:
      <Row>(rows: readonly Row[]) =>
      (name: string, body: (...row: never) => unknown): void => {
        rows.forEach((row, index) => {
          const values: readonly unknown[] = Array.isArray(row) ? row : [row];
          addOne(titleOf(name, values, index), () => (body as (...row: readonly unknown[]) => unknown)(...values), false);
        });
      },
  }) as Adder<Fn>;
}

/** `%s`, `%d`, `%i`, `%p`, `%j`, `%o` take the next value, `%#` the index, `%%` is a percent sign. */
function titleOf(name: string, values: readonly unknown[], index: number): string {
  let next = 0;
  return name.replace(/%([sdipjo#%])/g, (whole, letter: string) => {
    if (letter === "%") return "%";
    if (letter === "#") return String(index);
    if (next >= values.length) return whole;
    const value = values[next++];
    return letter === "s" || letter === "d" || letter === "i" ? String(value) : (JSON.stringify(value) ?? String(value));
  });
}

/** Adds a test. */
export const test: Adder<Body> = adder<Body>((name, body, isSkipped) => add(name, body, { isSkipped }));

/** The same as {@linkcode test}. */
export const it: Adder<Body> = test;

/** Adds a group; its body runs at once and is not asynchronous. */
export const describe: Adder<() => void> = adder<() => void>((name, body, isSkipped) => group(name, body as () => void, isSkipped));

/** Runs once before the first test of the group. */
export function beforeAll(body: Body): void {
  current.beforeAll.push(body);
}

/** Runs once after the last test of the group. */
export function afterAll(body: Body): void {
  if (current === root) after(async () => void (await body()));
  else current.afterAll.push(body);
}

/** Runs before each test of the group. */
export function beforeEach(body: Body): void {
  current.beforeEach.push(body);
}

/** Runs after each test of the group. */
export function afterEach(body: Body): void {
  current.afterEach.push(body);
}
