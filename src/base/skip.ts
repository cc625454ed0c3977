/** How a function of the user's leaves a record out: a value that it returns or throws. */

/** Returned by a handler: leave this record out, and say why in the metrics. */
export interface Skip {
  /** Why. */
  readonly "~skip": string;
}

/** Whether a handler asked to leave the record out. */
export function isSkip(value: unknown): value is Skip {
  return typeof value === "object" && value !== null && typeof (value as { readonly "~skip"?: unknown })["~skip"] === "string";
}
