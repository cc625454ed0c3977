/** Changes to values: parts of them by path, and what changed, for people. */

/** One change: `a.b.0=12`. */
export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Reads `path=json`: names and list places with dots between. Throws RangeError. */
export function parseAssignment(text: string): Assignment {
  const at = text.indexOf("=");
  const path = at === -1 ? [] : text.slice(0, at).split(".");
  if (path.length === 0 || path.includes("")) throw new RangeError(`--set is ${text}, wanted path=json such as address.city="Berlin" or items.0.price=12`);
  // Set by name, they would change what every object is made of.
  if (path.some((name) => name === "__proto__" || name === "constructor" || name === "prototype")) {
    throw new RangeError(`--set is ${text}: no such name can be set`);
  }
  return { path, value: parseJson("set", text.slice(at + 1)) };
}

/** Reads JSON. Throws RangeError that says how texts are quoted. */
export function parseJson(flag: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RangeError(`--${flag} has ${JSON.stringify(text)}, which is no JSON; texts stand in double quotes, such as '"Berlin"'`);
  }
}

/** The value with its assignments done; the given one stays as it is. Objects that are missing on the way are made. Gives an Error where something on the way is no object and no list. */
export function assigned(value: unknown, assignments: readonly Assignment[]): unknown {
  let changed = value;
  for (const { path, value: part } of assignments) {
    const next = withPart(changed, path, part);
    if (next instanceof Error) return next;
    changed = next;
  }
  return changed;
}

function withPart(whole: unknown, [name, ...rest]: readonly string[], part: unknown): unknown {
  if (name === undefined) return part;
  if (Array.isArray(whole)) {
    if (!/^\d{1,9}$/.test(name) || Number(name) > whole.length) return new Error(`a list of ${whole.length} has no place ${JSON.stringify(name)}`);
    const next = withPart(whole[Number(name)], rest, part);
    return next instanceof Error ? next : whole.toSpliced(Number(name), 1, next);
  }
  if (whole !== undefined && (typeof whole !== "object" || whole === null)) return new Error(`${JSON.stringify(whole)} has no part ${JSON.stringify(name)}`);
  const next = withPart((whole as Readonly<Record<string, unknown>> | undefined)?.[name], rest, part);
  return next instanceof Error ? next : { ...whole, [name]: next };
}

/** Lines that differ between two values: `-` before, `+` after, those around them with a blank. */
export function changeLines(before: unknown, after: unknown): readonly string[] {
  const [old, now] = [before, after].map((value) => value === undefined ? ["(no value: a tombstone)"] : JSON.stringify(value, null, 2).split("\n")) as [
    string[],
    string[],
  ];
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++;
  if (head === old.length && head === now.length) return ["  (unchanged)"];
  const around = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
  return [
    ...around(old.slice(Math.max(0, head - 1), head)),
    ...old.slice(head, old.length - tail).map((line) => `- ${line}`),
    ...now.slice(head, now.length - tail).map((line) => `+ ${line}`),
    ...around(old.slice(old.length - tail, old.length - tail + 1)),
  ];
}
