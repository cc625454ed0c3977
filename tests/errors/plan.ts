/**
 * What becomes of each record of an errors run. Its lane, key, content and fault follow from the seed and its number alone, and with them the one fate it may have.
 *
 * Lanes differ by what their error policy says. In each, every kind of step fails for 1 % of the records a time or two and for 0.1 % for good.
 */
import { partitionFor } from "../../src/record/partitioner.ts";

/** A source with its policy: what waits while a record is tried again, or what happens after the last try; `close`: windows that speak once, whose results fail too. */
export type Lane = "key" | "partition" | "nothing" | "skip" | "stop" | "close";

/** Each of them. */
export const lanes: readonly Lane[] = ["key", "partition", "nothing", "skip", "stop", "close"];

/** Functions of the user's that can fail, in the order a record meets them. */
export type Step = "timestamp" | "map" | "filter" | "flatMap" | "wait" | "sink" | "parse" | "resolve" | "fold" | "behind" | "group" | "last";

/** Each of them. */
export const steps: readonly Step[] = ["timestamp", "map", "filter", "flatMap", "wait", "sink", "parse", "resolve", "fold", "behind", "group", "last"];

/** What is wrong with a record. `stop`: it fails until its app has been started again; `thrown`: the step throws a skip. */
export type Fault =
  | { readonly kind: "transient"; readonly step: Step; readonly times: number }
  | { readonly kind: "permanent" | "terminal" | "stop" | "thrown"; readonly step: Step }
  | {
    readonly kind: "decode" | "schema" | "ahead" | "fraction" | "badKey" | "nullKey" | "negative" | "skip" | "filtered" | "flattened" | "late" | "big" | "none";
  };

/** Where a record ends. */
export type Fate = "processed" | "late" | "skipped" | "dead";

/** A record before it is written. */
export interface Planned {
  readonly n: number;
  readonly lane: Lane;
  readonly key: string;
  /** Event time, ms since the epoch. */
  readonly at: number;
  readonly fault: Fault;
  /** Of its source. */
  readonly partition: number;
}

/** Partitions of each source. */
export const PARTITIONS = 3;
/** Tries in all. One more than a record can fail: a try that a crash cut off may count. */
export const ATTEMPTS = 5;
/** Of the windows. */
export const WINDOW_MS = 5_000;

const KEYS_PER_LANE = 167;
const TIMES_MAX = 2;
const DAY_MS = 86_400_000;
/** The first ones have no faults: late is only what follows others. */
const HEAD_RECORDS = 600;
const BIG_BYTES = 300_000;
/** Of the records that would fail for good, so many stop their task instead, in the lane whose policy it is. */
const STOPS_ONE_IN = 10;

/** Keys that tend to break things. */
const ODD_KEYS = ["", "__proto__", "constructor", "\0", "Ω≈ç√", "\u{1f600}", " ", "k".repeat(2_000)];

/** Faults of the data, beside those of steps: how many of a thousand records. */
const DATA_FAULTS: readonly (readonly [Exclude<Fault["kind"], "transient" | "permanent" | "terminal" | "stop" | "thrown" | "none">, number])[] = [
  ["decode", 1],
  ["schema", 1],
  ["ahead", 1],
  ["fraction", 1],
  ["badKey", 1],
  ["nullKey", 1],
  ["negative", 1],
  ["flattened", 1],
  ["skip", 5],
  ["filtered", 5],
  ["late", 10],
  ["big", 0.2],
];

/** In the lane whose records keep no order, so many come by webhook. */
const SENT_ONE_IN = 4;
const SENT_FAULTS: readonly Fault["kind"][] = ["none", "skip", "filtered", "flattened", "late", "big"];

/** All records of a run. */
export class Plan {
  readonly records: number;
  readonly seed: number;
  /** Event time of the first record, ms since the epoch. */
  readonly startAt: number;

  constructor(records: number, seed: number, startAt: number) {
    this.records = records;
    this.seed = seed;
    this.startAt = startAt;
  }

  /** The record of a number, from 0. */
  record(n: number): Planned {
    const lane = lanes[n % lanes.length]!;
    const index = Math.floor(this.#random(n, 1) * KEYS_PER_LANE);
    const key = ODD_KEYS[index] ?? `key ${index}`;
    const fault = this.fault(n);
    const partition = fault.kind === "badKey" || fault.kind === "nullKey" ? n % PARTITIONS : partitionFor(key, PARTITIONS);
    return { n, lane, key, at: this.#at(n, fault), fault, partition };
  }

  /** Whether it comes by webhook: data that no request can bring does not. */
  isSent(n: number): boolean {
    const fault = this.fault(n);
    if (n < HEAD_RECORDS || lanes[n % lanes.length] !== "nothing" || Math.floor(n / lanes.length) % SENT_ONE_IN !== 0) return false;
    return "step" in fault ? fault.step !== "timestamp" : SENT_FAULTS.includes(fault.kind);
  }

  /** What is wrong with it. */
  fault(n: number): Fault {
    if (n < HEAD_RECORDS) return { kind: "none" };
    const lane = lanes[n % lanes.length]!;
    let permille = this.#random(n, 2) * 1_000;
    for (const step of steps) {
      if ((permille -= 11.5) >= 0) continue;
      if (lane === "close" && (step === "group" || step === "last")) return { kind: "none" };
      if (permille >= -0.5) return { kind: "thrown", step };
      permille += 0.5;
      if (permille < -1) return { kind: "transient", step, times: 1 + n % TIMES_MAX };
      if (lane !== "stop") return { kind: permille < -0.8 ? "terminal" : "permanent", step };
      return permille < -1 + 1 / STOPS_ONE_IN ? { kind: "stop", step } : { kind: "none" };
    }
    for (const [kind, share] of DATA_FAULTS) {
      if ((permille -= share) >= 0) continue;
      // What nobody can mend would stop its task for good.
      const isRefused = kind === "decode" || kind === "schema" || kind === "ahead" || kind === "fraction" || kind === "badKey" || kind === "nullKey";
      return lane === "stop" && isRefused ? { kind: "none" } : { kind };
    }
    return { kind: "none" };
  }

  /** What it must come to; a result of a window that fails for good, or is left out, takes its records with it, which is not seen here. */
  fate({ lane, fault }: Planned): Fate {
    const givenUp: Fate = lane === "skip" ? "skipped" : "dead";
    switch (fault.kind) {
      case "permanent":
      case "terminal":
      case "decode":
      case "schema":
      case "ahead":
      case "fraction":
      case "badKey":
        return givenUp;
      case "nullKey":
      case "negative":
      case "skip":
      case "thrown":
      case "filtered":
      case "flattened":
        return "skipped";
      case "late":
        return "late";
      default:
        return "processed";
    }
  }

  /** The value of the record, as it is written. */
  bytes({ n, key, at, fault }: Planned): string {
    if (fault.kind === "decode") return `{"n":${n},`;
    if (fault.kind === "schema") return JSON.stringify({ n, k: [key], at });
    return JSON.stringify({ n, k: key, at, ...(fault.kind === "big" ? { pad: "x".repeat(BIG_BYTES) } : {}) });
  }

  /** A record that closes all windows of a lane's partition. */
  closing(): string {
    return JSON.stringify({ n: -1, k: "closing", at: this.startAt + this.records + DAY_MS / 12 });
  }

  #at(n: number, { kind }: Fault): number {
    if (kind === "late") return this.startAt - DAY_MS;
    if (kind === "negative") return -5;
    if (kind === "ahead") return this.startAt + 30 * DAY_MS;
    return this.startAt + n + (kind === "fraction" ? 0.5 : 0);
  }

  /** In [0, 1); `salt` makes another sequence. */
  #random(n: number, salt: number): number {
    let mixed = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(this.seed + salt * 0x5851, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
    mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  }
}
