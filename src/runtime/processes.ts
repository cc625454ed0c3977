/** Processes that belong together: one starts others and is told when they end; they are told when it ends. A part of the `Runtime` contract (R8), there where `capabilities.spawns` says so. */

/** What to start. */
export interface SpawnOptions {
  /** The path of the module it runs, on the same runtime, with the same flags of the runtime. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** What it finds in {@linkcode ParentProcess.told}. */
  readonly told: string;
  /** Hears its messages, in the order they were sent. */
  readonly onMessage: (message: string) => void;
  /** Whether it reads this one's standard input. @default false: it reads nothing */
  readonly sharesInput?: boolean;
}

/** How a process ended. */
export interface ProcessEnd {
  /** The code it ended with; null when a signal ended it, or it could not be started. */
  readonly code: number | null;
  /** The signal that ended it. */
  readonly signal: string | null;
  /** Why it could not be started; null when it was. */
  readonly failure: string | null;
}

/** A process that was started. */
export interface SpawnedProcess {
  /** As the system counts it; 0 when it could not be started. */
  readonly processId: number;
  /** Fulfils when it has ended. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends it a message; nothing happens when it has ended. */
  send(message: string): void;
  /** Ends it at once, also when it is stopped or hangs (SIGKILL). */
  kill(): void;
}

/** The process that started this one. */
export interface ParentProcess {
  /** What it said at the start. */
  readonly told: string;
  /** The id of this process, not of the parent. */
  readonly processId: number;
  /** Sends it a message; nothing happens when it has ended. */
  send(message: string): void;
  /** Who hears of it from here on; messages that came before are handed over at once. `onClosed` is called once, when the parent has ended, however it did: by itself, or at the latest after the next `send`. */
  listen(handlers: { readonly onMessage: (message: string) => void; readonly onClosed: () => void }): void;
}
