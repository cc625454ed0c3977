/** Real Kafka for tests: one broker that all share, and brokers of their own for those that kill or pause it. */
import { randomUUID } from "node:crypto";
import process from "node:process";
import { test } from "bun:test";
import { brokerFault, startBroker } from "../../scripts/kafka/broker-process.mjs";
import type { Broker, BrokerOptions } from "../../scripts/kafka/broker-process.d.mts";

export type { Broker, BrokerOptions };

/** The broker that tests share. It is empty when the first test comes, and not when the next does: each takes its names from `prefix()`. */
export interface TestBroker {
  /** `127.0.0.1:port`. */
  readonly bootstrap: string;
  /** Something new to begin the names of topics, groups and transactional ids with. */
  prefix(): string;
}

const TEST_TIMEOUT_MS = 120_000;

/** Set by the test command: the address of a broker that runs already. */
const address = process.env["MILLRACE_TEST_KAFKA"] ?? "";

let fault: string | null | undefined;
let shared: Promise<TestBroker> | undefined;

/** Why no broker can be started here; null when one can. */
export function whyNoBroker(): string | null {
  return (fault ??= brokerFault());
}

/** Whether {@linkcode ownBroker} works here, and with it {@linkcode testBroker}. */
export function hasBroker(): boolean {
  return whyNoBroker() === null;
}

/** Adds a test that needs a broker; where none can be had it is skipped and says why. Its time-out is 120,000 ms, for brokers take seconds to start. */
export function brokerTest(name: string, body: () => void | Promise<unknown>, timeoutMs: number = TEST_TIMEOUT_MS): void {
  if (hasBroker()) test(name, body, timeoutMs);
  else test.skip(`${name} [skipped: ${whyNoBroker()}]`, () => undefined);
}

/** The broker that all tests share: that of the test command, or one for this process, which ends with it. */
export function testBroker(): Promise<TestBroker> {
  return (shared ??= address !== "" ? Promise.resolve(at(address)) : startBroker().then(({ bootstrap }) => at(bootstrap)));
}

/** A broker for one test, to kill and to pause; `remove()` it at the end. It ends with this process anyway. */
export function ownBroker(options: BrokerOptions = {}): Promise<Broker> {
  return startBroker(options);
}

function at(bootstrap: string): TestBroker {
  return { bootstrap, prefix: () => `t-${randomUUID().slice(0, 8)}-` };
}
