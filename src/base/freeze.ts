/** Makes a value unchangeable, with all it is made of: what is handed out from state or to several steps must not be changed by one of them. For tests and development: it costs a walk. */

/** Freezes plain objects and arrays within `value`, and `value` itself; instances of classes, which may need to change, stay as they are. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !Array.isArray(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
