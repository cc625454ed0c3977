/**
 * Logs of {@linkcode testApp} that outlive the engine on them, so that an app can be stopped or killed and opened again on what it left.
 *
 * On the memory log a killed member says no more: its listener is cut off, then it leaves. On the embedded one the disk is told that its process died.
 */
import { embedded } from "../app/log-driver.ts";
import type { LogDriver } from "../log/driver.ts";
import { Random } from "../base/random.ts";
import type { AssignmentListener, Log, Membership } from "../log/log.ts";
import { memoryLog } from "../log/memory.ts";
import { memoryDisk } from "../runtime/memory-disk.ts";
import type { Database } from "../sqlite/database.ts";
import { openDatabase } from "../sqlite/open.ts";
import { FaultyDisk } from "./faulty-disk.ts";
import { WrappedLog } from "./wrapped-log.ts";

/** A log that engines come and go on. */
export interface TestLog {
  readonly driver: LogDriver;
  /** The process on it dies: what it had not committed is gone. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Records and state in memory, from one engine to the next. */
export function keptMemoryLog(): TestLog {
  const disk = memoryDisk();
  let log: Log | null = null;
  let database: Database | null = null;
  let engine: KeptLog | null = null;
  return {
    driver: {
      "~log": "memory",
      open: async ({ runtime }) => {
        log ??= memoryLog(runtime);
        database = await openDatabase(runtime, disk, "state.db");
        engine = new KeptLog(log);
        return { log: engine, database, place: "memory" };
      },
    },
    kill: async () => {
      await engine?.kill();
      database?.close();
    },
    close: async () => {
      await log?.close();
    },
  };
}

/** The embedded log on a disk in memory, from one engine to the next. */
export function keptEmbeddedLog(seed: number): TestLog {
  const disk = new FaultyDisk({ random: new Random(seed) });
  return { driver: embedded({ disk }), kill: async () => disk.kill(), close: async () => {} };
}

/** A log that stays open when its engine closes it. */
class KeptLog extends WrappedLog {
  #membership: Membership | null = null;
  #isDead = false;

  override async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<Membership> {
    this.#membership = await super.join(group, topics, {
      assigned: (partitions) => this.#isDead ? undefined : listener.assigned(partitions),
      revoked: (partitions) => this.#isDead ? undefined : listener.revoked(partitions),
      lost: (partitions) => this.#isDead ? undefined : listener.lost(partitions),
    });
    return this.#membership;
  }

  override async close(): Promise<void> {}

  async kill(): Promise<void> {
    this.#isDead = true;
    await this.#membership?.leave();
  }
}
