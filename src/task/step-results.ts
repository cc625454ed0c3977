/** Where the results of a timed step begin their way: each is a unit of effect of its own, and holds the step's outgoing clock while it is unresolved. */
import { packValue } from "../record/value-bytes.ts";
import { RecordView } from "../record/meta.ts";
import type { InputClock } from "./input-clock.ts";
import { type Entrance, Unit } from "./unit.ts";

/** The results of one step in one task. */
export class StepResults implements Entrance {
  readonly id: string;
  /** The step's outgoing one; null when it has none of its own. */
  readonly clock: InputClock | null;
  readonly #topic: string;
  readonly #partition: number;
  view: RecordView;
  keyId = "";
  value: unknown = undefined;

  constructor(step: string, clock: InputClock | null, topic: string, partition: number) {
    this.id = `step:${step}`;
    this.clock = clock;
    this.#topic = topic;
    this.#partition = partition;
    this.view = this.newView();
  }

  newView(): RecordView {
    return new RecordView(this.#topic, this.#partition, null);
  }

  /** Stands for this result. */
  at(key: unknown, keyId: string, value: unknown, timestamp: number): RecordView {
    this.keyId = keyId;
    this.value = value;
    return this.view.of(key, timestamp, -1, null);
  }

  capture(arrivedAt: number): Unit {
    const { view, keyId, value } = this;
    this.view = this.newView();
    const bytes = value === undefined ? null : packValue(value);
    const record = { key: new TextEncoder().encode(keyId), value: bytes, headers: [], timestamp: view.timestamp, position: -1 };
    return new Unit(this, record, view.key, keyId, this.clock?.seen ?? -Infinity, NaN, arrivedAt);
  }

  hold(unit: Unit): void {
    this.clock?.hold(unit, unit.heldClock);
  }

  release(unit: Unit): void {
    this.clock?.release(unit);
  }
}
