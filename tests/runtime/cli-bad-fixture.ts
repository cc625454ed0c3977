/** An app with more than one fault. */
import { type App, createApp, tumbling } from "../../mod.ts";

export const app: App = createApp("bad");
const orders = app.topic("orders", { partitions: 0 });
app.topic("orders");
app.stream(orders).groupByKey().window(tumbling("1m")).aggregate({});
