/** Values that may come later. Only what is thenable is awaited: a value at hand costs no microtask. */

/** A value, or a promise of it: every handler may be either. */
export type Awaitable<T> = T | PromiseLike<T>;

/** Whether a value has to be awaited. */
export function isThenable<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && typeof (value as { readonly then?: unknown }).then === "function";
}
