/**
 * Processes that belong together (R8), by the channel that `node:child_process` opens between a process and those it starts: Node, Bun and Deno have it alike. A program may use `process.send` for itself, so what
 * is ours is marked.
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { messageOf } from "../../src/base/errors.ts";
import type { ParentProcess, ProcessEnd, SpawnedProcess, SpawnOptions } from "../../src/runtime/processes.ts";

/** What a process that was started here is told. Taken out of the environment at once: what it starts itself is nobody's. */
const TOLD = "MILLRACE_PARENT_TOLD";

/** What goes over the channel. */
interface Marked {
  readonly millrace: string;
}

const living = new Set<SpawnedProcess>();
let isWatchingExit = false;

/** Starts a process; `commandLine` makes the arguments of the runtime's own binary. */
export function spawnProcess(commandLine: (program: string) => readonly string[], options: SpawnOptions): SpawnedProcess {
  const { program, args, told, onMessage, sharesInput = false } = options;
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...commandLine(program), ...args], {
      env: { ...process.env, [TOLD]: told },
      stdio: [sharesInput ? "inherit" : "ignore", "inherit", "inherit", "ipc"],
    });
  } catch (cause) {
    return { processId: 0, ended: Promise.resolve({ code: null, signal: null, failure: messageOf(cause) }), send: () => {}, kill: () => {} };
  }
  child.on("message", (message) => {
    if (isMarked(message)) onMessage(message.millrace);
  });
  let hasEnded = false;
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal, failure: null }));
    // Of a channel that closes under a message too: only without a process is it the end.
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, failure: messageOf(error) });
    });
  });
  const spawned: SpawnedProcess = {
    processId: child.pid ?? 0,
    ended,
    send: (message) => {
      if (!hasEnded && child.connected) child.send({ millrace: message } satisfies Marked);
    },
    kill: () => {
      // By its id: Deno's own `child.kill()` sends no second signal.
      if (!hasEnded && child.pid !== undefined) killQuietly(child.pid);
    },
  };
  living.add(spawned);
  ended.then(() => {
    hasEnded = true;
    living.delete(spawned);
  });
  if (!isWatchingExit) {
    isWatchingExit = true;
    process.on("exit", () => {
      for (const one of living) one.kill();
    });
  }
  return spawned;
}

function isMarked(message: unknown): message is Marked {
  return typeof message === "object" && message !== null && typeof (message as Partial<Marked>).millrace === "string";
}

function killQuietly(processId: number): void {
  try {
    process.kill(processId, "SIGKILL");
  } catch {
    // It has ended, and the event that says so is on its way.
  }
}

/** The process that started this one by `spawnProcess`; null: nobody did. */
export const parentProcess: ParentProcess | null = takeParent();

function takeParent(): ParentProcess | null {
  const told = process.env[TOLD];
  if (told === undefined) return null;
  delete process.env[TOLD];
  if (process.send === undefined) return null;
  // Heard from the first moment on: not every host keeps what nobody listens to yet.
  const early: string[] = [];
  let isClosed = false;
  let onMessage: (message: string) => void = (message) => void early.push(message);
  let onClosed: () => void = () => {};
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    onClosed();
  };
  process.on("message", (message) => {
    if (isMarked(message)) onMessage(message.millrace);
  });
  process.once("disconnect", close);
  return {
    told,
    processId: process.pid,
    send: (message) => {
      // Deno hears nothing of a parent that died with messages unread; but what is sent to it then fails.
      const sent = (error: Error | null | undefined): void => {
        if (error) close();
      };
      if (process.connected) process.send?.({ millrace: message } satisfies Marked, undefined, undefined, sent);
    },
    listen: (handlers) => {
      onMessage = handlers.onMessage;
      onClosed = handlers.onClosed;
      for (const message of early.splice(0)) onMessage(message);
      if (isClosed) onClosed();
      else if (!process.connected) close();
    },
  };
}
