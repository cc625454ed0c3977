/** Timers that keep R2 on hosts which fire early or take short delays only. */
import type { Timer } from "../../src/runtime/runtime.ts";

/** The longest delay a host's timer takes. */
const TIMER_DELAY_MAX_MS = 2 ** 31 - 1;

/** Calls `fn` once, after `delayMs` and not before. */
export function setTimer(fn: () => void, delayMs: number): Timer {
  const due = performance.now() + Math.max(0, delayMs);
  let handle = setTimeout(tick, Math.min(Math.max(0, delayMs), TIMER_DELAY_MAX_MS));
  function tick(): void {
    // Hosts fire up to a millisecond early, and a delay may be longer than they take at once.
    const restMs = due - performance.now();
    if (restMs <= 0) return fn();
    handle = setTimeout(tick, Math.min(Math.ceil(restMs), TIMER_DELAY_MAX_MS));
  }
  return { cancel: () => clearTimeout(handle) };
}
