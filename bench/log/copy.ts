/**
 * A copy of the embedded log while it works: `node|bun|deno run -A bench/log/copy.ts [MiB]`.
 *
 * A file of 100 MiB is filled; then a commit of 1,000 records is made each 10 ms, first alone, then with a copy being made, which is read to its
 * end in pieces as an answer over HTTP is. How long the loop was held is measured from turn to turn of a loop of macrotasks: the greatest, and how many were over 10 ms.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import { embeddedLog } from "../../src/log/embedded.ts";
import type { Log, Membership } from "../../src/log/log.ts";
import { BatchEncoder } from "../../src/record/encoder.ts";

const FILE_MIB = Number(process.argv[2] ?? 100);
const MIB = 1_048_576, RECORDS = 1_000, CHUNK_BYTES = 262_144, ALONE_MS = 2_000;
/** 100,000 records a second. */
const COMMIT_EVERY_MS = 10;
const runtime = await hostRuntime();
const value = new Uint8Array(100).fill(7);

/** Turns of the loop. */
class Turns {
  readonly #heldMs: number[] = [];
  #isOn = true;

  constructor() {
    void this.#turn();
  }

  async #turn(): Promise<void> {
    for (let before = runtime.monotonic(); this.#isOn;) {
      await runtime.yield();
      const now = runtime.monotonic();
      this.#heldMs.push(now - before);
      before = now;
    }
  }

  end(): string {
    this.#isOn = false;
    const sorted = this.#heldMs.sort((left, right) => left - right);
    const over = sorted.filter((ms) => ms > 10).length;
    return `held max ${sorted.at(-1)!.toFixed(1)} ms, p99 ${sorted[Math.floor(sorted.length * 0.99)]!.toFixed(1)} ms, over 10 ms: ${over} of ${sorted.length}`;
  }
}

function commit(log: Log, membership: Membership, encoder: BatchEncoder, position: number): void {
  encoder.reset();
  for (let i = 0; i < RECORDS; i++) encoder.append(1_000_000 + i, `key-${i % 100}`, value, null);
  void log.commit(
    { membership, positions: [{ topic: "in", partition: 0, position }], outputs: [{ topic: "out", partition: 0, encoder }], changelog: [] },
    () => {},
  );
}

const directory = mkdtempSync(join(tmpdir(), "millrace-copy-"));
try {
  const log = await embeddedLog(runtime, runtime.disk(directory));
  await log.ensureTopics(["in", "out"].map((name) => ({ name, partitions: 1, retention: "forever", internal: false })));
  const membership = await log.join("bench", ["in"], { assigned() {}, revoked() {}, lost() {} });
  const encoder = new BatchEncoder();
  let position = 0;
  const records = FILE_MIB * MIB / 115;
  for (; position < records; position += RECORDS) {
    commit(log, membership, encoder, position);
    if (position % 100_000 === 0) await log.flush();
  }
  await log.flush();
  let isWorking = true;
  let commits = 0;
  const work = (async () => {
    for (let next = runtime.monotonic(); isWorking; next += COMMIT_EVERY_MS, commits++) {
      commit(log, membership, encoder, position += RECORDS);
      while (runtime.monotonic() < next) await runtime.yield();
    }
  })();
  const phase = async (name: string, act: () => Promise<string>): Promise<void> => {
    const turns = new Turns();
    const [start, before] = [runtime.monotonic(), commits];
    const said = await act();
    const seconds = (runtime.monotonic() - start) / 1_000;
    console.log(
      `${runtime.name}, ${name}: ${seconds.toFixed(2)} s${said}; ${Math.round((commits - before) * RECORDS / seconds / 1_000)} k records/s; ${turns.end()}`,
    );
  };
  const alone = async (): Promise<string> => {
    await new Promise<void>((resolve) => runtime.setTimer(resolve, ALONE_MS));
    return "";
  };
  const copied = async (): Promise<string> => {
    const copy = await log.copy!();
    const start = runtime.monotonic();
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (let at = 0; at < copy.bytes; at += CHUNK_BYTES) {
      copy.read(buffer, at);
      await runtime.yield();
    }
    const mib = copy.bytes / MIB;
    const readMs = runtime.monotonic() - start;
    copy.close();
    return ` for ${mib.toFixed(0)} MiB (reading ${readMs.toFixed(0)} ms)`;
  };
  await phase("alone", alone);
  await phase("with a copy", copied);
  await phase("alone", alone);
  isWorking = false;
  await work;
  await phase("a copy of an idle log", copied);
  await log.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
