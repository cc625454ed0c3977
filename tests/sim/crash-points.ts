/** A reference run of 200 records, to be crashed before and after each operation of its disk. */
import type { Genes } from "./genes.ts";
import { nobody } from "./operator.ts";
import { plainPolicy } from "./policies.ts";

/** The seed of the reference run. */
export const REFERENCE_SEED = 2_026;

/** Everything that can lie between an input and an output; each record is sent under an id until it is acknowledged, so that the same input arrives in every run. */
export const referenceGenes: Partial<Genes> = {
  mode: "bounded",
  records: 200,
  partitions: 1,
  keys: 5,
  stepMs: 50,
  disorderMs: 300,
  watermarkDelayMs: 0,
  nullKeys: 0,
  tombstones: 0,
  webhooks: 1,
  repeats: 0.1,
  bad: 0,
  paddingCharacters: 100,
  resolver: "key",
  window: { sizeMs: 500, advanceMs: 500, offsetMs: 0, graceMs: 1_500, emit: "close" },
  after: true,
  groups: { sizeMs: 1_000, advanceMs: 500, offsetMs: 0, graceMs: 1_500, emit: "close" },
  merge: false,
  branch: false,
  enrich: true,
  split: false,
  sieve: false,
  sink: false,
  slowSchema: false,
  throwsSkip: false,
  lateTo: "topic",
  operator: nobody,
  policies: { app: plainPolicy, source: null, resolver: null },
  timed: 0.05,
  microtask: 0.2,
  delayMs: 150,
  failing: 0.05,
  dying: 0.03,
  skipping: 0.1,
  concurrency: 1,
  worker: { commitIntervalMs: 50, commitWaitMs: 20, cacheBytes: 1_000, clockIntervalMs: 0, idleTimeoutMs: null },
  storage: { sectorBytes: 4_096, pageBytes: 4_096, checkpointBytes: 1_000_000, cacheBytes: 16_777_216, tailBytesMax: 8_388_608, flushMs: 5 },
  faults: { powerLoss: 0, kill: 0, restart: 0, wallJump: 0, atOperation: 0, operationFaults: [] },
};
