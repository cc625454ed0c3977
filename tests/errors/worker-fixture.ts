/** The app of an errors run as a process, to be killed. Argument: JSON of {@linkcode WorkerArguments}. */
import process from "node:process";
import { kafka } from "../../adapters/kafka/kafka.ts";
import type { Duration } from "../../mod.ts";
import { errorsApp } from "./app.ts";
import { Book } from "./book.ts";
import { Plan } from "./plan.ts";

/** What the process is told. */
export interface WorkerArguments {
  readonly name: string;
  readonly records: number;
  readonly seed: number;
  readonly startAt: number;
  readonly life: number;
  /** Of the log and of state. */
  readonly directory: string;
  /** Where the book lies. */
  readonly book: string;
  /** null: the embedded log. */
  readonly kafka: { readonly brokers: string; readonly client: "platformatic" | "confluent"; readonly sessionTimeout: string } | null;
}

const { name, records, seed, startAt, life, directory, book, kafka: broker } = JSON.parse(process.argv[2]!) as WorkerArguments;

const app = errorsApp({
  name,
  plan: new Plan(records, seed, startAt),
  book: new Book(book, records),
  life,
  ...(broker === null ? {} : { log: kafka({ brokers: [broker.brokers], client: broker.client, sessionTimeout: broker.sessionTimeout as Duration }) }),
});

await app.run({
  port: 0,
  directory,
  observer: (event) => {
    // Records that fail are what this is about.
    if (["taskStopped", "commitFailed", "warning", "taskStuck", "logUnavailable"].includes(event.type)) console.error(JSON.stringify(event));
  },
});
