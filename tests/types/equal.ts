/** Words of the type tests. What they say is checked by the compiler; at run time they do nothing. */

/** Whether two types are the same, down to `readonly` and optional properties; `any` is only `any`. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only when it is given `true`: `sure<Equal<typeof spend, Stream<string, Spend>>>()`. */
export function sure<_Holds extends true>(): void {}
