/** The app of an errors run: each of its functions fails as the plan says. */
import * as v from "valibot";
import { type App, type AppOptions, collect, createApp, type ErrorPolicy, retryLater, skip, sum, terminal, tumbling, type Windowed } from "../../mod.ts";
import type { Book } from "./book.ts";
import { ATTEMPTS, type Fault, type Lane, lanes, PARTITIONS, type Plan, type Step, WINDOW_MS } from "./plan.ts";
import { HOOK } from "./sender.ts";

/** What the app is made of. */
export interface ErrorsAppOptions extends AppOptions {
  readonly name: string;
  readonly plan: Plan;
  readonly book: Book;
  /** Which start of the app this is, from 1 to 255: a record that stopped its task goes through in another one. */
  readonly life: number;
}

/** What comes out of a lane. `ids`: of the records in its window so far, or of all of them. */
export interface Said {
  readonly n: number;
  readonly key: string;
  readonly ids: readonly number[];
  readonly total: number;
}

const Event = v.object({ n: v.number(), k: v.string(), at: v.number(), pad: v.optional(v.string()) });
type Event = v.InferOutput<typeof Event>;
type Windows = Windowed<string, { readonly total: number; readonly all: readonly { readonly n: number }[] }>;

const retry = { attempts: ATTEMPTS, backOff: 2, backOffMax: 20 } as const;
const policies: { readonly [L in Lane]: ErrorPolicy } = {
  key: { retry: { ...retry, blocks: "key" } },
  partition: { retry: { ...retry, blocks: "partition" } },
  nothing: { retry: { ...retry, blocks: "nothing" } },
  skip: { retry, then: "skip" },
  stop: { retry, then: "stop" },
  close: { retry },
};

/** Of so many records one makes handlers wait. */
const WAITS_ONE_IN = 5;

/** Names of a run's topics. */
export const topicsOf = {
  source: (name: string, lane: Lane): string => `${name}-${lane}`,
  out: (name: string, lane: Lane): string => `${name}-${lane}-out`,
  dead: (name: string, lane: Lane): string => `${name}-${lane}-dlq`,
  late: (name: string, lane: Lane): string => `${name}-${lane}-late`,
  features: (name: string): string => `${name}-seen`,
} as const;

/** Makes the app. */
export function errorsApp({ name, plan, book, life, ...options }: ErrorsAppOptions): App {
  const app = createApp(name, options);
  const seen = app.features("seen", { n: v.number() });

  /** How a record fails at a step, this time; null: it does not. */
  const failure = (step: Step, n: number): Fault["kind"] | null => {
    const fault = n < 0 ? null : plan.fault(n);
    if (fault === null || !("step" in fault) || fault.step !== step) return null;
    if (fault.kind === "stop") {
      const stoppedIn = book.get("tries", n);
      if (stoppedIn === 0) book.set("tries", n, life);
      return stoppedIn === 0 || stoppedIn === life ? "stop" : null;
    }
    return book.add("tries", n) <= (fault.kind === "transient" ? fault.times : Infinity) ? fault.kind : null;
  };

  /** Fails, or not, when a record, or a result that holds some, meets a step. */
  const meet = (step: Step, ...numbers: readonly number[]): void => {
    const kinds = numbers.flatMap((n) => failure(step, n) ?? []);
    if (kinds.length === 0) return;
    const what = `${step} failed for ${numbers.join()}: ${kinds.join()}`;
    if (kinds.includes("thrown")) throw skip(what);
    if (kinds.includes("terminal") || kinds.includes("stop")) throw terminal(what);
    if (numbers[0]! % 3 === 0) throw retryLater(3);
    throw new Error(what);
  };

  for (const lane of lanes) {
    const source = app.topic<string, Event>(topicsOf.source(name, lane), {
      value: Event,
      timestamp: (event) => {
        meet("timestamp", event.n);
        return event.at;
      },
      key: ({ k }) => k,
      partitions: PARTITIONS,
      retention: "infinity",
      errors: policies[lane],
    });
    if (lane === "nothing") {
      app.webhook(HOOK, {
        topic: source,
        verify: "none",
        body: Event,
        headers: v.object({ "x-id": v.string(), n: v.string() }),
        map: ({ body }) => body,
        idempotencyKey: ({ headers }) => headers["x-id"],
      });
    }
    const main = app.stream(source)
      .groupByKey()
      .map(({ n, k }) => {
        meet("map", n);
        return plan.fault(Math.max(0, n)).kind === "skip" ? skip("asked for") : { n, k };
      })
      .filter(({ n }) => {
        meet("filter", n);
        return plan.fault(Math.max(0, n)).kind !== "filtered";
      })
      .flatMap((event) => {
        meet("flatMap", event.n);
        return plan.fault(Math.max(0, event.n)).kind === "flattened" ? [] : [event];
      })
      .map((event) => {
        const fault = plan.fault(Math.max(0, event.n));
        if (event.n % WAITS_ONE_IN !== 0 && !("step" in fault && fault.step === "wait")) return event;
        return pause(event.n).then(() => {
          meet("wait", event.n);
          return event;
        });
      });
    main.forEach(({ n }) => {
      if (n < 0) return;
      book.add("sunk", n);
      // Those that do not wait run through all that follows in one go.
      if (n % WAITS_ONE_IN !== 1) meet("sink", n);
      else return pause(n).then(() => meet("sink", n));
    });
    app.resolver(`${lane} resolver`, {
      source: main,
      parse: (event) => {
        meet("parse", event.n);
        return event.n < 0 ? null : event;
      },
      output: seen,
    }, ({ n, k }) => {
      meet("resolve", n);
      return seen.of(k, { n });
    });
    const folds = {
      total: sum<{ n: number; k: string }>(({ n }) => {
        meet("fold", n);
        return n;
      }),
      all: collect<{ n: number; k: string }>(),
    };
    const said = (window: Windows): Said => {
      const ids = window.value.all.map(({ n }) => n);
      meet("behind", ...(lane === "close" ? ids : ids.slice(-1)));
      return { n: ids.at(-1)!, key: window.key, ids, total: window.value.total };
    };
    if (lane === "close") main.window(tumbling(WINDOW_MS, { grace: "2s" })).aggregate(folds).map(said).to(topicsOf.out(name, lane));
    else {
      main.window(tumbling(WINDOW_MS, { grace: "1h" }), { emit: "update" }).aggregate(folds).map(said)
        .groupBy((of) => {
          meet("group", of.n);
          return of.key;
        }, { name: lane, partitions: PARTITIONS })
        .map((of) => {
          meet("last", of.n);
          return of;
        })
        .to(topicsOf.out(name, lane));
    }
  }
  return app;
}

/** A turn of the event loop; for some, a while. */
function pause(n: number): Promise<void> {
  return n % 50 === 0 ? new Promise((resolve) => setTimeout(resolve, 1)) : Promise.resolve();
}
