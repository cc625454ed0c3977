/** The topics of the example, for all programs that use them. */
import * as v from "valibot";
import type { App, Topic } from "millrace";
import type { Quake } from "./quakes.ts";

/** Earthquakes of one day, region and strength. */
export interface QuakeDay {
  /** As in 2018-01-31, UTC. */
  readonly day: string;
  readonly region: string;
  /** As in "M2": from 2.0 to below 3.0. */
  readonly strength: string;
  readonly quakes: number;
  readonly strongest: number;
  /** In km. */
  readonly deepest: number;
}

const Feature: v.GenericSchema<Quake> = v.object({
  id: v.string(),
  properties: v.object({ mag: v.number(), place: v.string(), time: v.number(), updated: v.number(), type: v.string() }),
  geometry: v.object({ coordinates: v.tuple([v.number(), v.number(), v.number()]) }),
});

const Day: v.GenericSchema<QuakeDay> = v.object({
  day: v.string(),
  region: v.string(),
  strength: v.string(),
  quakes: v.number(),
  strongest: v.number(),
  deepest: v.number(),
});

/** How many partitions: at most so many workers have something to do. */
export const PARTITIONS = 4;

/** What comes in: the events, at the time when the earth shook. */
export function defineQuakes(app: App): Topic<string, Quake> {
  return app.topic("earthquakes", {
    value: Feature,
    key: (quake) => quake.id,
    timestamp: (quake) => quake.properties.time,
    partitions: PARTITIONS,
    // These are of 2018: a broker that keeps a week would delete them at once.
    retention: "infinity",
  });
}

/** What goes out: each day of each region and strength, once it is over. */
export function defineResults(app: App): Topic<string, QuakeDay> {
  return app.topic("earthquakes-by-day", { value: Day, key: ({ region, strength }) => `${region} ${strength}`, partitions: PARTITIONS, retention: "infinity" });
}
