/** What `millrace run` and its workers say to each other, as lines of JSON. */

/** From a worker. */
export type WorkerMessage =
  /** Its loop turns. */
  | { readonly type: "tick" }
  /** Everything stands. */
  | { readonly type: "started" }
  /** It ends with this code, and `text` says why: whoever hears it prints it and answers `heard`. */
  | { readonly type: "failed"; readonly text: string; readonly exitCode: number };

/** To a worker. */
export type ParentMessage = { readonly type: "stop" } | { readonly type: "heard" };

/** What a worker is told when it is started. */
export interface Told {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}
