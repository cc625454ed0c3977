/**
 * A Kafka broker (KRaft, one node) as a child process: on free ports, with its own data, killed and paused at will, gone with the process that started it. Any Node from 20 on, Bun and Deno.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { closeSync, cpSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { answersRequests } from "./answers-requests.mjs";
import { findKafka, logging } from "./jars.mjs";

const HOST = "127.0.0.1";
/** Below the ports that systems give to outgoing connections: one of those could take a dead broker's port before its restart. */
const PORT_MIN = 20_000;
const PORT_MAX = 32_000;
const STARTS_MAX = 5;
const STOP_TIMEOUT_MS = 20_000;
const LOOK_AGAIN_MS = 20;
const LOG_LINES = 30;

/** Reads the pid of the JVM from its input, line by line; when that ends, as it does however the process ends that holds it, it kills the JVM and deletes its data. */
const GUARD = `trap '' INT TERM HUP
pid=
while read -r line; do pid=$line; done
[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null && sleep 0.2
rm -rf "$1" || { sleep 1; rm -rf "$1"; }`;

/** Why no broker can be started here; null when one can. */
export function brokerFault() {
  return findKafka().missing ?? null;
}

/** Starts a broker and waits until it answers. */
export async function startBroker({ config = {}, heapMb = 384, port, timeoutMs = 60_000 } = {}) {
  const kafka = findKafka();
  if (kafka.missing !== undefined) throw new Error(`Cannot start a broker: ${kafka.missing}.`);
  for (let attempt = 1;; attempt++) {
    const broker = new BrokerProcess(kafka, { config, heapMb, timeoutMs, listener: port ?? await freePort(), controller: await freePort() });
    try {
      await broker.restart();
      return broker;
    } catch (error) {
      const isTaken = /already in use|BindException/.test(broker.log());
      await broker.remove();
      // Another process may take a free port before the JVM does.
      if (port !== undefined || !isTaken || attempt === STARTS_MAX) throw error;
    }
  }
}

class BrokerProcess {
  #kafka;
  #options;
  #directory;
  #guard;
  #child = null;

  constructor(kafka, options) {
    this.#kafka = kafka;
    this.#options = options;
    this.#directory = mkdtempSync(join(tmpdir(), "millrace-kafka-"));
    this.#guard = startGuard(this.#directory);
    cpSync(kafka.template, this.#file("data"), { recursive: true });
    writeFileSync(this.#file("server.properties"), propertiesOf(options, this.#file("data")));
  }

  get bootstrap() {
    return `${HOST}:${this.#options.listener}`;
  }

  get directory() {
    return this.#directory;
  }

  get pid() {
    return this.#child?.pid ?? 0;
  }

  get isRunning() {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async stop() {
    // A stopped process does not see that it should end.
    this.#signal("SIGCONT");
    this.#signal("SIGTERM");
    if (await until(() => !this.isRunning, STOP_TIMEOUT_MS)) return this.#hasEnded();
    await this.kill();
  }

  async kill() {
    this.#signal("SIGKILL");
    if (!await until(() => !this.isRunning, STOP_TIMEOUT_MS)) throw new Error(`The broker ${this.pid} is there ${STOP_TIMEOUT_MS} ms after SIGKILL.`);
    this.#hasEnded();
  }

  async pause() {
    this.#signal("SIGSTOP");
    const { pid } = this;
    // The signal is sent at once and heeded a little later, by each thread in its turn.
    if (process.platform === "linux") await until(() => !this.isRunning || stateOf(pid) === "T", STOP_TIMEOUT_MS);
  }

  async resume() {
    this.#signal("SIGCONT");
  }

  async restart() {
    if (this.isRunning) await this.stop();
    if (this.#guard === null) throw new Error("The broker was removed; it cannot start again.");
    const { heapMb, listener, timeoutMs } = this.#options;
    const log = openSync(this.#file("log.txt"), "a");
    const child = spawn(this.#kafka.java, [...jvmOptions(heapMb), "-cp", this.#kafka.classPath, "kafka.Kafka", this.#file("server.properties")], {
      cwd: this.#directory,
      stdio: ["ignore", log, log],
      // Ctrl-C ends the process that started it; the guard does the rest.
      detached: true,
    });
    closeSync(log);
    this.#child = child;
    let fault = null;
    child.once("error", (error) => (fault = error));
    this.#guard.stdin.write(`${child.pid}\n`);
    child.unref();
    const deadline = performance.now() + timeoutMs;
    while (fault === null && this.isRunning && performance.now() < deadline) {
      if (await answersRequests(HOST, listener)) return;
      await pause(LOOK_AGAIN_MS);
    }
    const what = fault !== null ? String(fault) : this.isRunning ? `it did not answer within ${timeoutMs} ms` : `it ended with exit code ${child.exitCode}`;
    await this.kill();
    throw new Error(`Cannot start a broker on ${this.bootstrap}: ${what}. The end of its log:\n${this.log()}`);
  }

  async remove() {
    if (this.#guard === null) return;
    await this.kill();
    const guard = this.#guard;
    this.#guard = null;
    rmSync(this.#directory, { recursive: true, force: true });
    guard.stdin.end();
    await until(() => guard.exitCode !== null || guard.signalCode !== null, STOP_TIMEOUT_MS);
  }

  log() {
    const file = this.#file("log.txt");
    return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_LINES).join("\n") : "";
  }

  #file(name) {
    return join(this.#directory, name);
  }

  #signal(signal) {
    // Deno's own `child.kill()` sends no second signal.
    if (this.isRunning) process.kill(this.#child.pid, signal);
  }

  /** So that the guard kills no stranger that has the pid next. */
  #hasEnded() {
    this.#guard?.stdin.write("\n");
  }
}

function startGuard(directory) {
  const guard = spawn("sh", ["-c", GUARD, "guard", directory], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  guard.stdin.on("error", () => undefined);
  // Neither holds up the end of this process; Bun's pipes never do.
  guard.unref();
  guard.stdin.unref?.();
  return guard;
}

function jvmOptions(heapMb) {
  return [`-Xmx${heapMb}m`, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true", `-Dlog4j2.configurationFile=${logging}`];
}

function propertiesOf({ config, listener, controller }, data) {
  const properties = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@${HOST}:${controller}`,
    listeners: `PLAINTEXT://${HOST}:${listener},CONTROLLER://${HOST}:${controller}`,
    "advertised.listeners": `PLAINTEXT://${HOST}:${listener}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": data,
    "num.partitions": "1",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    // After a kill its own old session would keep a broker out for 9 seconds.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
    // Records of old event times go only from topics that say so.
    "log.retention.ms": "-1",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    // Compaction as soon as a segment is closed.
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    ...config,
  };
  return Object.entries(properties).map(([name, value]) => `${name}=${value.replaceAll("\\", "\\\\")}\n`).join("");
}

async function freePort() {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/** The state of a process as Linux tells it: T is stopped; null when there is none. */
function stateOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3);
  } catch {
    return null;
  }
}

async function until(condition, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() >= deadline) return false;
    await pause(LOOK_AGAIN_MS);
  }
  return true;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
