/** What a task tells the readers of its internal topics about event time: with records where it moved, and by clock-only records where there are none. */
import type { HeaderField } from "../record/record.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { CLOCK_ONLY_HEADER, type ClockWriter } from "./carried-clock.ts";
import type { Outputs, TopicOutput } from "./outputs.ts";

interface Said {
  readonly clocks: { readonly safe: number }[];
  /** What each partition was told last. */
  readonly values: number[];
  /** Monotonic ms of the last clock-only record to each. */
  readonly at: number[];
}

/** The clocks one task says. */
export class CarriedClocks {
  readonly #writer: ClockWriter;
  /** Pause between clock-only records to one partition, ms. */
  readonly intervalMs: number;
  readonly #said = new Map<TopicOutput, Said>();

  constructor(writer: ClockWriter, intervalMs: number) {
    this.#writer = writer;
    this.intervalMs = intervalMs;
  }

  /** An output whose records carry `clock`; with several, the least. */
  add(output: TopicOutput, clock: { readonly safe: number }): void {
    const said = this.#said.get(output);
    if (said !== undefined) said.clocks.push(clock);
    else {
      const none = (): number[] => new Array<number>(output.partitions).fill(-Infinity);
      this.#said.set(output, { clocks: [clock], values: none(), at: none() });
    }
  }

  /** Adds the clock to a record, if it moved since the last one there. */
  stamp(output: TopicOutput, partition: number, headers: readonly HeaderField[] | null): readonly HeaderField[] | null {
    const said = this.#said.get(output);
    if (said === undefined) return headers;
    const value = least(said);
    if (!isWorthSaying(value, said.values[partition]!, false)) return headers;
    said.values[partition] = value;
    const field = this.#writer.field(value);
    return headers === null ? [field] : [...headers, field];
  }

  /** Writes clock-only records to partitions that don't know the clock, each at most once an interval. */
  sayClocks(outputs: Outputs, isIdle: boolean, runtime: Runtime): void {
    const now = runtime.monotonic();
    for (const [output, said] of this.#said) {
      const value = least(said);
      for (let partition = 0; partition < output.partitions; partition++) {
        if (!isWorthSaying(value, said.values[partition]!, isIdle) || now - said.at[partition]! < this.intervalMs) continue;
        const clock = value === -Infinity ? NaN : value;
        said.values[partition] = clock;
        said.at[partition] = now;
        outputs.write({
          output,
          partition,
          key: null,
          value: null,
          timestamp: runtime.now(),
          headers: [this.#writer.field(clock), { name: CLOCK_ONLY_HEADER, value: null }],
        }, null);
      }
    }
  }

  /** The least clock there is to say; Infinity without readers. */
  get least(): number {
    let value = Infinity;
    for (const said of this.#said.values()) value = Math.min(value, least(said));
    return value;
  }

  /** Monotonic ms at which a clock should be said that is not; Infinity when all is said. Of an idle writer's clock, which goes on by itself, nobody wants to hear before `awaited`. */
  nextAt(isIdle: boolean, awaited: number): number {
    let at = Infinity;
    for (const said of this.#said.values()) {
      const value = least(said);
      if (isIdle && value > -Infinity && value < awaited) continue;
      for (let partition = 0; partition < said.values.length; partition++) {
        if (isWorthSaying(value, said.values[partition]!, isIdle)) at = Math.min(at, said.at[partition]! + this.intervalMs);
      }
    }
    return at;
  }
}

/** Whether a partition should hear of a clock: when it moved (any clock is news to who was told that there is none, NaN), or that the writer is idle and has none. */
function isWorthSaying(value: number, before: number, isIdle: boolean): boolean {
  return value > -Infinity ? !(value <= before) : isIdle && before === -Infinity;
}

function least(said: Said): number {
  let value = Infinity;
  for (const clock of said.clocks) if (clock.safe < value) value = clock.safe;
  return value;
}
