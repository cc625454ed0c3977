/** Whether two values are the same to a user: by structure, and with types that codecs may lose. */

/** Same type and content, through arrays, plain objects, maps and sets (in order), dates, errors, patterns and bytes. -0 is 0. */
export function isSameValue(left: unknown, right: unknown): boolean {
  if (left === right || (left !== left && right !== right)) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (kindOf(left) !== kindOf(right)) return false;
  if (left instanceof Date) return isSameValue(left.getTime(), (right as Date).getTime());
  if (left instanceof RegExp) return String(left) === String(right);
  if (left instanceof Error) return isSameError(left, right as Error);
  if (left instanceof ArrayBuffer) return isSameList(new Uint8Array(left), new Uint8Array(right as ArrayBuffer));
  if (left instanceof DataView) return isSameValue(bytesOf(left), bytesOf(right as DataView));
  if (ArrayBuffer.isView(left)) return isSameList(left as unknown as Iterable<unknown>, right as Iterable<unknown>);
  if (Array.isArray(left) || left instanceof Map || left instanceof Set) return isSameList(left as Iterable<unknown>, right as Iterable<unknown>);
  return isSameObject(left as Record<string, unknown>, right as Record<string, unknown>);
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function isSameError(left: Error, right: Error): boolean {
  return left.name === right.name && left.message === right.message && isSameValue(left.cause, right.cause);
}

function isSameList(left: Iterable<unknown>, right: Iterable<unknown>): boolean {
  const a = [...left];
  const b = [...right];
  return a.length === b.length && a.every((item, i) => isSameValue(item, b[i]));
}

function isSameObject(left: Record<string, unknown>, right: Record<string, unknown>): boolean {
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && isSameValue(left[key], right[key]));
}
