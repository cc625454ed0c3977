/** An app in a Durable Object: the same engine on the embedded log, stepped by its host and closed between two requests. */
import { internalsOf, makeApp } from "../../src/app/app.ts";
import { embedded } from "../../src/app/log-driver.ts";
import { RecordCursor } from "../../src/record/cursor.ts";
import { codec } from "../../src/record/codec.ts";
import { json } from "../../src/record/codec-json.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { Schema } from "../../src/record/schema.ts";
import { count } from "../../src/stream/aggregator.ts";
import { tumbling } from "../../src/stream/window.ts";

const START = 1_700_000_000_000;
const anyText: Schema<string> = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value: String(value) }) } };

/** Sends `records` records a second of event time apart, after those of earlier calls, works until nothing is left, and says what every window counted so far. */
export async function countAndClose(runtime: Runtime, records: number): Promise<unknown> {
  const driver = embedded({ disk: runtime.disk("app"), database: { journal: "memory", pageBytes: 16_384 } });
  const app = makeApp("edge", { log: driver }, async () => runtime);
  const clicks = app.topic("clicks", { value: json<{ id: number }>(), key: () => "all", timestamp: ({ id }) => START + id * 1_000 });
  const person = app.features("person", { id: anyText });
  app.resolver("last click", { source: clicks, output: person }, ({ id }) => person.of("all", { id: String(id) }));
  const counts = app.topic<string, number>("counts", {
    value: codec<number>({ name: "number", encode: String, decode: (bytes) => Number(new TextDecoder().decode(bytes)) }),
  });
  app.stream(clicks).groupByKey().window(tumbling("10s")).aggregate({ clicks: count() }).map((window) => window.value.clicks).to(counts);

  const internals = internalsOf(app);
  const engine = await internals.open({ worker: { idleTimeoutMs: null } });
  internals.attach(engine);
  const [{ end: from } = { end: 0 }] = await engine.log.describe(["clicks"]);
  for (let id = from; id < from + records; id++) await clicks.send({ id });
  while (!engine.worker.isQuiet) {
    engine.worker.step();
    await engine.worker.commit();
  }
  const said: number[] = [];
  const reader = engine.log.reader({ topic: "counts", partition: 0 }, 0, () => {});
  const cursor = new RecordCursor();
  for (let chunk = reader.take(1_000_000); chunk !== null; chunk = reader.take(1_000_000)) {
    cursor.open(chunk.bytes, chunk.start, chunk.end, 0);
    while (cursor.next()) said.push(Number(cursor.valueText()));
  }
  reader.close();
  const last = await app.query(person, "all");
  await engine.stop();
  return { from, said, last };
}
