/**
 * What one simulated run is made of, drawn from its seed: the shape of the app, its input, how the engine and its storage are set, and which faults happen how often. Each seed draws only some
 * of the faults, so that some runs go far and others die early.
 */
import { Random } from "../../src/base/random.ts";
import type { TestWorkerOptions } from "../../src/testing/testing.ts";
import { drawOperator, nobody, type OperatorGenes } from "./operator.ts";
import { drawPolicies, plainPolicy, type PoliciesGenes, policiesOf } from "./policies.ts";

/** How windows are set. Times in ms. */
export interface WindowGenes {
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly offsetMs: number;
  readonly graceMs: number;
  readonly emit: "close" | "update";
}

/** Faults of a run. Rates are per action of the run. */
export interface FaultGenes {
  /** Power is lost between two actions, or within one, at some await. */
  readonly powerLoss: number;
  /** The process is killed: what was written stays. */
  readonly kill: number;
  /** The app is stopped and started. */
  readonly restart: number;
  /** The wall clock is set, by up to an hour. */
  readonly wallJump: number;
  /** A life ends, or the disk fails, at some operation of the disk; the chance per life. */
  readonly atOperation: number;
  /** What happens at that operation. */
  readonly operationFaults: readonly OperationFault[];
}

/** What happens at an operation of the disk: the power fails, the process dies, the operation fails once, all do from then on, a flush fails, there is no more space. */
export type OperationFault = "power" | "kill" | "failed once" | "failed on" | "torn" | "flush" | "full";

/** All of it. */
export interface Genes {
  /**
   * `bounded`: records are late by less than the windows' grace, so that nothing is late whatever fails and is tried again.
   * `tight`: records are late for their windows; nothing fails before a window, so that lateness follows from the log alone.
   */
  readonly mode: "bounded" | "tight";
  readonly records: number;
  readonly partitions: number;
  readonly keys: number;
  /** Event time between two records at most, and how far one may lie behind. */
  readonly stepMs: number;
  readonly disorderMs: number;
  readonly watermarkDelayMs: number;
  /** Shares of the input. */
  readonly nullKeys: number;
  readonly tombstones: number;
  readonly webhooks: number;
  readonly repeats: number;
  /** Bytes that cannot be read, values that do not fit, timestamps that cannot be used. */
  readonly bad: number;
  readonly paddingCharacters: number;
  /** Parts of the app. */
  readonly resolver: "key" | "group" | null;
  readonly window: WindowGenes | null;
  /** A step behind the window that may fail. */
  readonly after: boolean;
  readonly groups: WindowGenes | null;
  readonly merge: boolean;
  readonly branch: boolean;
  readonly enrich: boolean;
  /** Each record into none, one or two, by `flatMap`. */
  readonly split: boolean;
  /** A filter that asks somebody. */
  readonly sieve: boolean;
  /** Records leave by `forEach`. */
  readonly sink: boolean;
  /** The schema of the input answers by a promise. */
  readonly slowSchema: boolean;
  /** What becomes of records that are late for the window. */
  readonly lateTo: "topic" | "drop" | "function";
  readonly policies: PoliciesGenes;
  readonly operator: OperatorGenes;
  /** Handlers: shares, and the longest delay. */
  readonly timed: number;
  readonly microtask: number;
  readonly delayMs: number;
  readonly failing: number;
  readonly dying: number;
  readonly skipping: number;
  /** Whether handlers throw `skip()`. */
  readonly throwsSkip: boolean;
  readonly concurrency: number;
  readonly worker: TestWorkerOptions;
  readonly storage: {
    readonly sectorBytes: number;
    readonly pageBytes: number;
    readonly checkpointBytes: number;
    readonly cacheBytes: number;
    readonly tailBytesMax: number;
    readonly flushMs: number;
  };
  readonly faults: FaultGenes;
}

const OPERATION_FAULTS: readonly OperationFault[] = ["power", "kill", "failed once", "failed on", "torn", "flush", "full"];

/** The genes of a seed. */
export function drawGenes(seed: number): Genes {
  const plain = drawPlain(seed);
  return { ...plain, ...drawTroubles(seed, plain) };
}

/** What goes wrong about records, and the steps where it does. */
type Troubles = "bad" | "split" | "sieve" | "sink" | "slowSchema" | "lateTo" | "policies" | "throwsSkip" | "operator";

function drawTroubles(seed: number, { mode }: Omit<Genes, Troubles>): Pick<Genes, Troubles> & Partial<Genes> {
  const random = new Random(seed ^ 0x7200b1e);
  const isTight = mode === "tight";
  // Some runs have none of it.
  if (random.chance(0.2)) {
    return {
      bad: 0,
      split: false,
      sieve: false,
      sink: false,
      slowSchema: false,
      lateTo: "topic",
      throwsSkip: false,
      operator: nobody,
      policies: { app: plainPolicy, source: null, resolver: null },
    };
  }
  const policies = drawPolicies(random);
  const isStopping = (policies.source ?? policies.app).then === "stop";
  const drawn = drawOperator(random, !isTight);
  // There a seek is how to get past what is bad.
  const operator = isStopping ? { ...drawn, seek: 0 } : drawn;
  const isOutOfTurn = policiesOf(policies).some(({ blocks }) => blocks === "nothing");
  const lateTo = random.pick(["topic", "topic", "drop", "function"] as const);
  return {
    bad: random.chance(0.4) ? random.float() * 0.2 : 0,
    split: random.chance(0.3),
    sieve: random.chance(0.3),
    sink: random.chance(0.3),
    slowSchema: !isTight && random.chance(0.2),
    // Whether a record that is tried out of turn is late then is told by its letter alone.
    throwsSkip: random.chance(0.3),
    lateTo: isOutOfTurn || operator.replay > 0 || operator.seek > 0 ? "topic" : lateTo,
    policies,
    operator,
  };
}

function drawPlain(seed: number): Omit<Genes, Troubles> {
  const random = new Random(seed);
  const maybe = (chance: number, high: number): number => random.chance(chance) ? random.float() * high : 0;
  const mode = random.chance(0.4) ? "tight" : "bounded";
  const isTight = mode === "tight";
  const stepMs = random.pick([1, 50, 400, 2_000]);
  const disorderMs = random.pick([0, 0, 300, 3_000]);
  const partitions = random.pick([1, 1, 1, 2, 3]);
  const concurrency = random.pick([1, 1, 4]);
  // Nothing is late that is late by less than this, however sends overtake each other.
  const graceMs = (): number => isTight ? random.pick([0, 0, 1, 200, 1_000]) : disorderMs + 16 * stepMs + random.below(2_000);
  const window = (emit: WindowGenes["emit"]): WindowGenes => {
    const sizeMs = random.pick([100, 1_000, 1_000, 5_000, 20_000]);
    return {
      sizeMs,
      advanceMs: random.chance(0.3) ? Math.ceil(sizeMs / random.between(2, 4)) : sizeMs,
      offsetMs: random.chance(0.3) ? random.below(sizeMs) : 0,
      graceMs: graceMs(),
      emit,
    };
  };
  const hasFailures = !isTight && random.chance(0.6);
  const hasTimers = random.chance(0.6);
  const faultCount = random.pick([0, 1, 1, 2, 3]);
  const after = random.chance(0.5);
  const rate = (): number => random.pick([0.001, 0.004, 0.01]);
  const has = random.shuffle(["powerLoss", "kill", "restart", "wallJump", "atOperation"]).slice(0, faultCount + 1);
  const operationFaults = random.shuffle(OPERATION_FAULTS).slice(0, random.between(1, 3));
  return {
    mode,
    records: random.pick([10, 30, 60, 100]),
    partitions,
    keys: random.pick([1, 2, 5, 20]),
    stepMs,
    disorderMs,
    watermarkDelayMs: random.pick([0, 0, 0, 500]),
    nullKeys: isTight ? 0 : maybe(0.3, 0.2),
    tombstones: maybe(0.3, 0.2),
    webhooks: maybe(0.5, 1),
    repeats: maybe(0.4, 0.5),
    paddingCharacters: random.pick([0, 10, 300, 3_000]),
    resolver: random.pick([null, "key", "key", "group"] as const),
    window: random.chance(0.75) ? window(random.pick(["close", "close", "update"] as const)) : null,
    after,
    // Behind a repartition the order of records is that of the log only when one task writes, in turn, and no record waits for a result of its key.
    groups: random.chance(0.4) && (!isTight || (partitions === 1 && concurrency === 1 && !after)) ? window("close") : null,
    merge: !isTight && random.chance(0.25),
    branch: random.chance(0.25),
    enrich: random.chance(0.4),
    timed: hasTimers ? random.float() * 0.6 : 0,
    microtask: maybe(0.5, 0.5),
    delayMs: random.pick([1, 50, 150, 1_000]),
    failing: hasFailures ? random.float() * 0.3 : 0,
    dying: hasFailures ? random.float() * 0.1 : 0,
    skipping: maybe(0.3, 0.3),
    concurrency,
    worker: {
      commitIntervalMs: random.pick([0, 5, 100, 100, 1_000]),
      commitRecords: random.pick([1, 2, 7, 1_000_000]),
      commitWaitMs: random.pick([0, 20, 100]),
      cacheBytes: random.pick([0, 1_000, 67_108_864]),
      uncommittedBytesMax: random.pick([1, 2_000, 67_108_864]),
      stepRecords: random.pick([1, 3, 1_000]),
      clockIntervalMs: random.pick([0, 50, 1_000]),
      idleTimeoutMs: null,
    },
    storage: {
      sectorBytes: random.pick([512, 4_096]),
      pageBytes: random.pick([4_096, 4_096, 8_192]),
      checkpointBytes: random.pick([20_000, 200_000, 16_777_216]),
      cacheBytes: random.pick([20_000, 16_777_216]),
      tailBytesMax: random.pick([1, 4_000, 8_388_608]),
      flushMs: random.pick([0, 5, 5, 40]),
    },
    faults: {
      powerLoss: has.includes("powerLoss") ? rate() : 0,
      kill: has.includes("kill") ? rate() : 0,
      restart: has.includes("restart") ? rate() : 0,
      wallJump: has.includes("wallJump") ? rate() : 0,
      atOperation: has.includes("atOperation") ? random.pick([0.5, 0.9]) : 0,
      operationFaults,
    },
  };
}
