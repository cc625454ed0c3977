import { describe, expect, test } from "bun:test";
import { Metrics } from "../../../src/observe/metrics.ts";
import { prometheusText } from "../../../src/observe/prometheus.ts";

describe("Metrics", () => {
  test("M1 the same name and labels give the same counter, in whatever order", () => {
    const metrics = new Metrics();
    const first = metrics.counter("millrace_records_total", "Records.", { task: "a", step: "b" });

    first.inc();
    metrics.counter("millrace_records_total", "Records.", { step: "b", task: "a" }).inc(2);
    metrics.counter("millrace_records_total", "Records.", { step: "c", task: "a" }).inc();

    expect(first.value).toBe(3);
  });

  test("M1 one name has one kind and one set of labels", () => {
    const metrics = new Metrics();
    metrics.counter("millrace_records_total", "Records.", { task: "a" });

    expect(() => metrics.counter("millrace_records_total", "Records.")).toThrow("M1: metric millrace_records_total is a counter by (task), wanted a counter by ()");
    expect(() => metrics.histogram("millrace_records_total", "Records.", [1], { task: "a" })).toThrow("M1");
  });

  test.each([["records_total"], ["millrace_records"], ["millrace_Records_total"], ["millrace_a b_total"]])("M1 refuses the name %s for a counter", (name) => {
    expect(() => new Metrics().counter(name, "Records.")).toThrow(`M1: ${name} is no name for a counter`);
  });

  test("M1 refuses odd label names and buckets that do not rise", () => {
    expect(() => new Metrics().counter("millrace_a_total", "A.", { "le\n": "x" })).toThrow("M1");
    expect(() => new Metrics().histogram("millrace_a_seconds", "A.", [1, 1])).toThrow("M1: buckets of millrace_a_seconds must rise");
  });

  test("M2 what comes after the last series shares one", () => {
    const metrics = new Metrics({ seriesMax: 3 });
    for (let i = 0; i < 10; i++) metrics.counter("millrace_a_total", "A.", { key: `k${i}` }).inc();
    metrics.counter("millrace_a_total", "A.", { key: "k0" }).inc();

    expect(metrics.families()[0]?.samples.map(({ labels, value }) => [labels["key"], value])).toEqual([["k0", 2], ["k1", 1], ["k2", 1], ["other", 7]]);
  });

  test("M3 counters never fall", () => {
    const counter = new Metrics().counter("millrace_a_total", "A.");
    counter.inc(5);
    counter.inc(-3);
    counter.inc(Number.NaN);

    expect(counter.value).toBe(5);
  });

  test("gauges are read when asked, replaced by their namesake, and taken away", () => {
    const metrics = new Metrics();
    let lag = 1;
    const removeFirst = metrics.gauge("millrace_lag", "Lag.", { task: "a" }, () => -1);
    const remove = metrics.gauge("millrace_lag", "Lag.", { task: "a" }, () => lag);
    const read = (): readonly number[] => metrics.families().flatMap(({ samples }) => samples.map(({ value }) => value));

    expect(read()).toEqual([1]);
    lag = 7;
    removeFirst();
    expect(read()).toEqual([7]);
    remove();
    expect(read()).toEqual([]);
  });

  test("totals that others count are read when asked", () => {
    const metrics = new Metrics();
    let count = 1;
    metrics.total("millrace_commits_total", "Commits.", {}, () => count);
    count = 4;

    expect(prometheusText(metrics)).toBe("# HELP millrace_commits_total Commits.\n# TYPE millrace_commits_total counter\nmillrace_commits_total 4\n");
  });

  test("a gauge that throws or is no number is left out, and hides no other", () => {
    const metrics = new Metrics();
    metrics.gauge("millrace_a", "A.", { n: "1" }, () => {
      throw new Error("no");
    });
    metrics.gauge("millrace_a", "A.", { n: "2" }, () => Number.NaN);
    metrics.gauge("millrace_a", "A.", { n: "3" }, () => 3);

    expect(metrics.families()[0]?.samples).toEqual([{ suffix: "", labels: { n: "3" }, value: 3 }]);
  });

  test("histograms count values up to and with each bound", () => {
    const metrics = new Metrics();
    const histogram = metrics.histogram("millrace_a_seconds", "A.", [0.1, 1]);
    for (const value of [0, 0.1, 0.10001, 1, 5, Number.NaN]) histogram.observe(value);
    const samples = metrics.families()[0]?.samples.map(({ suffix, value }) => [suffix, value]);

    expect([histogram.count, histogram.sum]).toEqual([5, 6.20001]);
    expect(samples).toEqual([["_bucket", 2], ["_bucket", 4], ["_bucket", 5], ["_sum", 6.20001], ["_count", 5]]);
  });
});

describe("prometheusText()", () => {
  test("writes families by name, with help, kind and escapes", () => {
    const metrics = new Metrics();
    const seconds = metrics.histogram("millrace_commit_seconds", "Commits.", [0.1, 1], { task: "t" });
    for (const value of [0.05, 0.5, 2]) seconds.observe(value);
    metrics.counter("millrace_bytes_total", 'Help with \\ and "quotes"\nand a line.', { path: 'a\\b"c\nd' }).inc(2.5);
    metrics.gauge("millrace_watermark", "Clock.", {}, () => -Infinity);

    expect(prometheusText(metrics)).toBe(
      [
        '# HELP millrace_bytes_total Help with \\\\ and "quotes"\\nand a line.',
        "# TYPE millrace_bytes_total counter",
        'millrace_bytes_total{path="a\\\\b\\"c\\nd"} 2.5',
        "# HELP millrace_commit_seconds Commits.",
        "# TYPE millrace_commit_seconds histogram",
        'millrace_commit_seconds_bucket{task="t",le="0.1"} 1',
        'millrace_commit_seconds_bucket{task="t",le="1"} 2',
        'millrace_commit_seconds_bucket{task="t",le="+Inf"} 3',
        'millrace_commit_seconds_sum{task="t"} 2.55',
        'millrace_commit_seconds_count{task="t"} 3',
        "# HELP millrace_watermark Clock.",
        "# TYPE millrace_watermark gauge",
        "millrace_watermark -Inf",
        "",
      ].join("\n"),
    );
  });
});
