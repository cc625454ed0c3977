/** Metrics in the text format of Prometheus, version 0.0.4. */
import type { Labels, Metrics } from "./metrics.ts";

/** The content type of {@linkcode prometheusText}. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** All families, one line a sample, each led by its help text and kind. */
export function prometheusText(metrics: Metrics): string {
  let text = "";
  for (const { name, help, kind, samples } of metrics.families()) {
    text += `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${kind}\n`;
    for (const { suffix, labels, value } of samples) text += `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`;
  }
  return text;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}
