/** The answer by brute force, to hold the app's against. */
import { loadQuakes } from "./quakes.ts";
import { regionOf, strengthOf } from "./regions.ts";
import type { QuakeDay } from "./topics.ts";

/** One line for each result, the same for the same content. */
export function lineOf({ day, region, strength, quakes, strongest, deepest }: QuakeDay): string {
  return `${day} ${region} ${strength}: ${quakes} quakes, strongest ${strongest}, deepest ${deepest} km`;
}

/** All that must be said, sorted. */
export function expectedDays(): readonly QuakeDay[] {
  const days = new Map<string, QuakeDay>();
  for (const { properties: { mag, place, time }, geometry } of loadQuakes()) {
    const day = new Date(time).toISOString().slice(0, 10), region = regionOf(place), strength = strengthOf(mag);
    const known = days.get(`${day} ${region} ${strength}`);
    const depth = geometry.coordinates[2];
    days.set(`${day} ${region} ${strength}`, {
      day,
      region,
      strength,
      quakes: (known?.quakes ?? 0) + 1,
      strongest: Math.max(known?.strongest ?? -Infinity, mag),
      deepest: Math.max(known?.deepest ?? -Infinity, depth),
    });
  }
  return [...days.values()];
}

/** What differs; empty when each result was said once and nothing else. */
export function differences(said: readonly QuakeDay[]): readonly string[] {
  const left = new Map<string, number>();
  for (const day of expectedDays()) left.set(lineOf(day), 1);
  for (const day of said) left.set(lineOf(day), (left.get(lineOf(day)) ?? 0) - 1);
  return [...left].flatMap(([line, count]) => (count === 0 ? [] : [count > 0 ? `missing: ${line}` : `too often or wrong: ${line}`]));
}
