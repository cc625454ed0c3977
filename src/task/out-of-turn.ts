/** From a record of the topic of retries to a unit of its task. */
import { anyKeys } from "../record/key.ts";
import { readUtf8 } from "../record/utf8.ts";
import type { ClockCell } from "../topology/node.ts";
import { Input } from "./input.ts";
import type { RetriedRecord } from "./retry-input.ts";
import { StepInput } from "./step-input.ts";
import { type Entrance, Unit } from "./unit.ts";

/** The unit of a record that was taken, still to wait for its time. `clock`: by which records are late where it enters; `now`: wall clock, ms. */
export function unitOutOfTurn({ note, record, retryPosition }: RetriedRecord, entrance: Entrance, clock: ClockCell, now: number): Unit {
  const earliest = Number.isFinite(clock.late) ? clock.late : now;
  const own = Number.isNaN(record.timestamp) ? { ...record, timestamp: earliest } : record;
  const unit = new Unit(entrance, own, note.key, chainOf(entrance, record.key, note.key), NaN, NaN, note.arrivedAt);
  unit.attempts = note.attempts;
  unit.retryPosition = retryPosition;
  unit.replay = note.replay;
  unit.budgetFrom = note.budgetFrom ?? now;
  return unit;
}

/** What keeps a record that comes back in turn with others of its key. */
function chainOf(entrance: Entrance, key: Uint8Array | null, stepKey: unknown): string | null {
  try {
    if (entrance instanceof StepInput) return stepKey === null ? null : anyKeys.toId(stepKey);
    if (key === null) return null;
    if (!(entrance instanceof Input)) return readUtf8(key, 0, key.length);
    const { key: keys } = entrance.topic;
    return keys.toId(keys.decode === null ? readUtf8(key, 0, key.length) : keys.decode(key));
  } catch {
    return null; // Nothing can be of the same key as bytes that are none.
  }
}
