/** Programs about tests: `testApp` gives what goes in and comes out its types. Never called: they are about types. */
import * as v from "valibot";
import { type App, count, createApp, tumbling, type Windowed } from "millrace";
import { type LateTestRecord, testApp, type TestRecord } from "millrace/testing";
import { type Equal, sure } from "../equal.ts";

export async function orders(): Promise<void> {
  const app: App = createApp("orders");
  const orders = app.topic("orders", { value: v.object({ id: v.pipe(v.string(), v.transform(Number)) }), key: (order) => String(order.id) });
  const counts = app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({ orders: count() }).to("counts");

  await using test = testApp(app, { seed: 7, startAt: new Date(0), env: { SECRET: "s" }, log: "embedded" });
  await test.send(orders, { id: "7" }, { key: "ann", timestamp: test.now });
  await test.advance("1m 30s");
  const records = await test.read(counts);
  sure<Equal<typeof records, readonly TestRecord<string, Windowed<string, { orders: number }>>[]>>();
  const late = await test.late(orders);
  sure<Equal<typeof late, readonly LateTestRecord<string>[]>>();
}
