/** Where a late letter enters again: the step that found it late. It holds no clock, and nothing is captured there. */
import { InvariantError } from "../base/errors.ts";
import type { Entrance, Unit } from "./unit.ts";

/** The id of the way into a step, and the topic that its records seem to come from. */
export function intoStep(step: string): string {
  return `into:${step}`;
}

/** The way into one step of one task. */
export class StepInput implements Entrance {
  readonly id: string;
  /** The step's name. */
  readonly step: string;

  constructor(step: string) {
    this.step = step;
    this.id = intoStep(step);
  }

  hold(): void {}

  release(): void {}

  capture(): Unit {
    throw new InvariantError(`Invariant broken: no record is captured at ${this.id}`);
  }
}
