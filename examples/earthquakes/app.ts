/**
 * Earthquakes by day, region and strength, on Kafka: as many workers as you like share the work, and each number is said exactly once, whoever of them is killed.
 *
 *     KAFKA_BROKERS=localhost:9092 millrace run examples/earthquakes/app.ts
 *
 * `npm run earthquakes` does all of it on this machine: a broker, the real events of a week, two workers of which one is killed, and the check.
 */
import { type App, count, createApp, env, max, tumbling } from "millrace";
import { kafka } from "millrace/kafka";
import { END_OF_FEED } from "./quakes.ts";
import { regionOf, strengthOf } from "./regions.ts";
import { defineQuakes, defineResults } from "./topics.ts";

// A killed worker's share goes to the others once it has not been heard of for so long.
export const app: App = createApp("earthquakes", { log: kafka({ brokers: env("KAFKA_BROKERS", "localhost:9092"), sessionTimeout: "6s" }) });

const quakes = defineQuakes(app);
const byDay = defineResults(app);

app.stream(quakes)
  .filter(({ properties }) => properties.type !== END_OF_FEED)
  // To whoever owns the region: this is a topic of the app's own.
  .groupBy(({ properties }) => `${regionOf(properties.place)} ${strengthOf(properties.mag)}`)
  // They come in the order of their last correction, up to 6.7 days behind the newest. Seven days of grace count all of them; the price is that a day is told a week after it is over. With a grace of
  // one day, 217 of 1,707 would lie in the late topic.
  .window(tumbling("1d", { grace: "7d" }))
  .aggregate({ quakes: count(), strongest: max(({ properties }) => properties.mag), deepest: max(({ geometry }) => geometry.coordinates[2]) })
  .map(({ key, start, value }) => ({
    day: new Date(start).toISOString().slice(0, 10),
    region: key.slice(0, key.lastIndexOf(" ")),
    strength: key.slice(key.lastIndexOf(" ") + 1),
    ...value,
  }))
  .to(byDay);

if (import.meta.main) await app.run({ port: 8787 });
