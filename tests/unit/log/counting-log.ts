/**
 * A log on which a counter works: commit n says position n, writes the record "n" and adds n to a sum. So from any state it can be told whether it is one of a commit, and of which: the n-th has n
 * records, position n and the sum n(n+1)/2.
 */
import { embeddedLog, type EmbeddedLogOptions } from "../../../src/log/embedded.ts";
import type { Log, Membership } from "../../../src/log/log.ts";
import { BatchEncoder } from "../../../src/record/encoder.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { readAll, topicSpec } from "../../../src/testing/conformance/log-subject.ts";

/** The group that counts. */
export const GROUP = "counter";
const RECORD_LENGTH = 3_000;

/** An open log with its counter. */
export class CountingLog {
  readonly log: Log;
  /** Commits so far. */
  count: number;
  readonly #membership: Membership;
  readonly #encoder: BatchEncoder = new BatchEncoder();

  private constructor(log: Log, membership: Membership, count: number) {
    this.log = log;
    this.#membership = membership;
    this.count = count;
  }

  /** Opens it where it stands. Rejects when what is there is not the state of one commit. */
  static async open(runtime: Runtime, disk: Disk, options: EmbeddedLogOptions = {}): Promise<CountingLog> {
    const log = await embeddedLog(runtime, disk, options);
    try {
      await log.ensureTopics([topicSpec("in"), topicSpec("out")]);
      log.database!.exec("CREATE TABLE IF NOT EXISTS counter(sum INTEGER NOT NULL)");
      const count = await countOf(log);
      return new CountingLog(log, await log.join(GROUP, ["in"], { assigned() {}, revoked() {}, lost() {} }), count);
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Opens it, looks how far it is, and closes it. */
  static async inspect(runtime: Runtime, disk: Disk, options: EmbeddedLogOptions = {}): Promise<number> {
    const counting = await CountingLog.open(runtime, disk, options);
    await counting.log.close();
    return counting.count;
  }

  /** The next commit; durable when it fulfils. */
  async commit(): Promise<void> {
    const n = this.count + 1;
    this.#encoder.reset();
    this.#encoder.append(1_000, null, String(n).padStart(RECORD_LENGTH), null);
    const unit = {
      membership: this.#membership,
      positions: [{ topic: "in", partition: 0, position: n }],
      outputs: [{ topic: "out", partition: 0, encoder: this.#encoder }],
      changelog: [],
    };
    const receipt = await this.log.commit(unit, () => {
      this.log.database!.exec(n === 1 ? "INSERT INTO counter VALUES(1)" : `UPDATE counter SET sum = sum + ${n}`);
    });
    this.count = n;
    await receipt.durable;
  }

  /** So many commits. */
  async commits(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.commit();
  }
}

async function countOf(log: Log): Promise<number> {
  const [committed] = await log.committed(GROUP, [{ topic: "in", partition: 0 }]);
  const count = committed?.position ?? 0;
  const statement = log.database!.prepare("SELECT coalesce(max(sum), 0) FROM counter");
  statement.step();
  const sum = statement.number(0);
  statement.finalize();
  const records = (await readAll(log, { topic: "out", partition: 0 })).length;
  if (records === count && sum === count * (count + 1) / 2) return count;
  throw new Error(`No commit has position ${count}, sum ${sum} and ${records} records`);
}
