/**
 * What the runtime counts. Series are looked up once and held by those who count: `inc()` and `observe()` allocate nothing.
 *
 * - **M1** One name has one kind, one help text and one set of label names; the same name and labels give the same series.
 * - **M2** A family holds at most `seriesMax` series; what comes after shares one whose label values are all `other`.
 * - **M3** Counters never fall.
 */
import { assert } from "../base/assert.ts";

/** Label values of a series by label name. */
export type Labels = Readonly<Record<string, string>>;

/** Counts upwards. */
export interface Counter {
  /** Adds `by`, at least 0. @default 1 */
  inc(by?: number): void;
  readonly value: number;
}

/** Counts values in buckets. */
export interface Histogram {
  /** Counts one value; NaN is left out. */
  observe(value: number): void;
  readonly count: number;
  readonly sum: number;
}

/** What a family holds. */
export type MetricKind = "counter" | "gauge" | "histogram";

/** One number of a family. */
export interface Sample {
  /** Behind the family's name: empty, or `_bucket`, `_sum`, `_count`. */
  readonly suffix: "" | "_bucket" | "_sum" | "_count";
  readonly labels: Labels;
  readonly value: number;
}

/** All series of one name. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly samples: readonly Sample[];
}

/** Options of {@linkcode Metrics}. */
export interface MetricsOptions {
  /** Most series a family holds (M2). @default 1_000 */
  readonly seriesMax?: number;
}

/** Seconds, from a millisecond to ten seconds. */
export const LATENCY_BUCKETS_SECONDS: readonly number[] = Object.freeze([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);

const SERIES_MAX = 1_000;
const NO_LABELS: Labels = Object.freeze({});

interface Series {
  samples(): readonly Sample[];
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly labelNames: string;
  readonly buckets: readonly number[] | null;
  readonly series: Map<string, Series>;
}

/** A registry of metrics. Names begin with `millrace_`; counters end with `_total`; units are in the name (`_seconds`, `_bytes`). */
export class Metrics {
  readonly #families = new Map<string, Family>();
  readonly #seriesMax: number;

  constructor({ seriesMax = SERIES_MAX }: MetricsOptions = {}) {
    this.#seriesMax = seriesMax;
  }

  /** The counter of a name and labels; made on first use. */
  counter(name: string, help: string, labels: Labels = NO_LABELS): Counter {
    const family = this.#family({ name, help, kind: "counter", labels, buckets: null });
    return this.#series(family, labels, (own) => new CounterSeries(own));
  }

  /**
   * A number that is read when somebody asks. A gauge of the same name and labels is replaced. One whose reading is NaN or throws is left out.
   * The returned function takes the gauge away, for tasks that leave.
   */
  gauge(name: string, help: string, labels: Labels, read: () => number): () => void {
    const family = this.#family({ name, help, kind: "gauge", labels, buckets: null });
    const gauge = this.#series(family, labels, (own) => new GaugeSeries(own));
    gauge.read = read;
    return () => {
      if (gauge.read !== read) return;
      for (const [key, series] of family.series) if (series === gauge) family.series.delete(key);
    };
  }

  /** A total that is counted elsewhere and read when somebody asks; as `gauge` otherwise. */
  total(name: string, help: string, labels: Labels, read: () => number): void {
    const family = this.#family({ name, help, kind: "counter", labels, buckets: null });
    this.#series(family, labels, (own) => new GaugeSeries(own)).read = read;
  }

  /** The histogram of a name and labels; `buckets` are upper bounds, rising, without infinity. */
  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = NO_LABELS): Histogram {
    const family = this.#family({ name, help, kind: "histogram", labels, buckets });
    return this.#series(family, labels, (own) => new HistogramSeries(own, family.buckets!));
  }

  /** Everything, sorted by name, as it is now. */
  families(): readonly MetricFamily[] {
    return [...this.#families.values()]
      .filter((family) => family.series.size > 0)
      .sort((left, right) => (left.name < right.name ? -1 : 1))
      .map(({ name, help, kind, series }) => ({ name, help, kind, samples: [...series.values()].flatMap((one) => one.samples()) }));
  }

  #family(
    wanted: { readonly name: string; readonly help: string; readonly kind: MetricKind; readonly labels: Labels; readonly buckets: readonly number[] | null },
  ): Family {
    const { name, help, kind, labels, buckets } = wanted;
    const labelNames = Object.keys(labels).sort().join();
    const known = this.#families.get(name);
    if (known !== undefined) {
      assert(
        known.kind === kind && known.labelNames === labelNames,
        `M1: metric ${name} is a ${known.kind} by (${known.labelNames}), wanted a ${kind} by (${labelNames})`,
      );
      return known;
    }
    assert(/^millrace_[a-z0-9_]+$/.test(name) && (kind === "counter") === name.endsWith("_total"), `M1: ${name} is no name for a ${kind}`);
    assert(/^([a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*)?$/.test(labelNames), `M1: metric ${name} has odd label names (${labelNames})`);
    assert(buckets === null || buckets.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > buckets[i - 1]!)), `M1: buckets of ${name} must rise`);
    const family: Family = { name, help, kind, labelNames, buckets, series: new Map() };
    this.#families.set(name, family);
    return family;
  }

  #series<S extends Series>(family: Family, labels: Labels, make: (labels: Labels) => S): S {
    const names = family.labelNames === "" ? [] : family.labelNames.split(",");
    let own: Labels = Object.freeze(Object.fromEntries(names.map((name) => [name, String(labels[name])])));
    let key = JSON.stringify(own);
    if (!family.series.has(key) && family.series.size >= this.#seriesMax && names.length > 0) {
      own = Object.freeze(Object.fromEntries(names.map((name) => [name, "other"])));
      key = JSON.stringify(own);
    }
    let series = family.series.get(key);
    if (series === undefined) {
      series = make(own);
      family.series.set(key, series);
    }
    // M1 holds: a family has one kind, and each kind one class.
    return series as S;
  }
}

class CounterSeries implements Counter, Series {
  readonly #labels: Labels;
  #value = 0;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  get value(): number {
    return this.#value;
  }

  inc(by: number = 1): void {
    if (by > 0) this.#value += by;
  }

  samples(): readonly Sample[] {
    return [{ suffix: "", labels: this.#labels, value: this.#value }];
  }
}

class GaugeSeries implements Series {
  readonly #labels: Labels;
  read: () => number = () => Number.NaN;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  samples(): readonly Sample[] {
    const value = this.#valueNow();
    return Number.isNaN(value) ? [] : [{ suffix: "", labels: this.#labels, value }];
  }

  /** One gauge that throws must not hide all other metrics. */
  #valueNow(): number {
    try {
      return this.read();
    } catch {
      return Number.NaN;
    }
  }
}

class HistogramSeries implements Histogram, Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  /** Not summed up; the last one counts what is above every bound. */
  readonly #counts: Float64Array;
  #sum = 0;
  #count = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return;
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
    this.#count++;
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    let below = 0;
    for (let i = 0; i < this.#counts.length; i++) {
      below += this.#counts[i]!;
      const bound = i < this.#bounds.length ? String(this.#bounds[i]) : "+Inf";
      samples.push({ suffix: "_bucket", labels: { ...this.#labels, le: bound }, value: below });
    }
    samples.push({ suffix: "_sum", labels: this.#labels, value: this.#sum }, { suffix: "_count", labels: this.#labels, value: this.#count });
    return samples;
  }
}
