/** A week of earthquakes as the USGS published them: 1,707 events from 31 January to 7 February 2018, in the package `vega-datasets`. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** An event as it lies in the feed (GeoJSON); what we don't use is there too. */
export interface Quake {
  readonly id: string;
  readonly properties: {
    readonly mag: number;
    readonly place: string;
    /** When the earth shook, ms since the epoch. */
    readonly time: number;
    /** When the USGS last said something new of it. */
    readonly updated: number;
    readonly type: string;
  };
  /** Longitude, latitude, and depth in km. */
  readonly geometry: { readonly coordinates: readonly [number, number, number] };
}

/** Says that the week is over: no earthquake, only a moment. */
export const END_OF_FEED = "end of feed";

const DAY_MS = 86_400_000;

/** All of them, in the order in which they got their last form. So most come out of order: people look again at what machines found, some a week later. */
export function loadQuakes(): readonly Quake[] {
  // The package exports code only; its data lie beside.
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  const { features } = JSON.parse(readFileSync(join(dirname(entry), "..", "data", "earthquakes.json"), "utf8")) as { readonly features: readonly Quake[] };
  return [...features].sort((a, b) => a.properties.updated - b.properties.updated);
}

/** What a feed that goes on would say later: it is eight days after the last earthquake, so that the windows of the week are over. */
export function endOfFeed(quakes: readonly Quake[]): Quake {
  const time = Math.max(...quakes.map(({ properties }) => properties.time)) + 8 * DAY_MS;
  return { id: END_OF_FEED, properties: { mag: 0, place: "nowhere", time, updated: time, type: END_OF_FEED }, geometry: { coordinates: [0, 0, 0] } };
}
