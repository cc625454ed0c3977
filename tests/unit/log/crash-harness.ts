/**
 * Appenders and a committer on an embedded log whose disk loses power or fails at a random operation, life after life, from one seed;
 * and what must hold of the log found afterwards. Gives what does not hold as sentences, so that a planted bug can be shown to be caught.
 */
import { Random } from "../../../src/base/random.ts";
import { embeddedLog } from "../../../src/log/embedded.ts";
import type { Append, AppendReceipt, Log } from "../../../src/log/log.ts";
import type { Disk } from "../../../src/runtime/disk.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { member, output, readAll, topicSpec, unit } from "../../../src/testing/conformance/log-subject.ts";
import { FaultyDisk } from "../../../src/testing/faulty-disk.ts";
import type { DiskFault } from "../../../src/testing/faulty-disk.ts";

/** What one run is made of. */
export interface CrashRun {
  readonly runtime: Runtime;
  readonly seed: number;
  readonly lives: number;
  /** How a life ends. */
  readonly end: "power" | "kill" | "fault";
  /** The disk that the log gets over the faulty one. */
  readonly wrap?: (disk: Disk) => Disk;
}

/** How a call ended, as its caller knows. */
type Outcome = "waiting" | "acknowledged" | "refused";

interface AppendTry {
  readonly name: string;
  readonly partition: number;
  readonly values: readonly string[];
  readonly id: string | null;
  outcome: Outcome;
  receipt: AppendReceipt | null;
}

interface CommitTry {
  readonly n: number;
  /** Its `apply` throws: never may it be in. One that the disk refused may be: what was written before the end may have reached the device. */
  readonly failsInApply: boolean;
  isDurable: boolean;
}

const PARTITIONS = 2;
const APPENDERS = 3;
const FAULTS: readonly DiskFault[] = ["failed", "full", "torn"];

/** What does not hold; empty when all is well. */
export async function crashRun(run: CrashRun): Promise<string[]> {
  const random = new Random(run.seed);
  const disk = new FaultyDisk({ random: new Random(run.seed + 1), sectorBytes: random.pick([512, 4_096]), flushDelay: () => run.runtime.yield() });
  const story = new Story(run, disk, random);
  for (let life = 0; life < run.lives; life++) {
    await story.live(life);
    await story.inspect(life);
  }
  return story.violations;
}

class Story {
  readonly violations: string[] = [];
  readonly #run: CrashRun;
  readonly #disk: FaultyDisk;
  readonly #random: Random;
  readonly #appends: AppendTry[] = [];
  readonly #commits: CommitTry[] = [];

  constructor(run: CrashRun, disk: FaultyDisk, random: Random) {
    this.#run = run;
    this.#disk = disk;
    this.#random = random;
  }

  /** Works until the disk fails. */
  async live(life: number): Promise<void> {
    const random = this.#random;
    let log: Log | null = null;
    const last = this.#disk.operations + 20 + random.below(life === 0 ? 260 : 160);
    const isBefore = random.below(2) === 0;
    this.#disk.onOperation = ({ index }) => {
      if (index < last) return null;
      if (this.#run.end === "fault") return index === last || isBefore ? random.pick(FAULTS) : null;
      if (index === last) this.#run.end === "power" ? this.#disk.crash() : this.#disk.kill();
      return null;
    };
    try {
      log = await this.#open();
      await Promise.all([...Array.from({ length: APPENDERS }, (_, appender) => this.#appender(log!, `${life}.${appender}`)), this.#committer(log)]);
    } catch {
      // The disk failed; what became of it is looked at by the next life.
    }
    await log?.close().catch(() => {});
    this.#disk.onOperation = null;
    // A process that saw its disk fail ends too; what it had not flushed may go with it.
    if (this.#run.end === "kill") this.#disk.kill();
    else this.#disk.crash();
  }

  async #open(): Promise<Log> {
    const log = await embeddedLog(this.#run.runtime, this.#run.wrap?.(this.#disk) ?? this.#disk);
    await log.ensureTopics([topicSpec("in", { partitions: PARTITIONS }), topicSpec("out", { partitions: PARTITIONS })]);
    log.database!.exec("CREATE TABLE IF NOT EXISTS applied (n INTEGER)");
    return log;
  }

  async #appender(log: Log, name: string): Promise<void> {
    for (let i = 0; i < 40; i++) {
      const count = 1 + this.#random.below(3);
      const one: AppendTry = {
        ...{ name: `${name}.${i}`, partition: this.#random.below(PARTITIONS), outcome: "waiting", receipt: null },
        values: Array.from({ length: count }, (_, k) => `${name}.${i}.${k}${"x".repeat(this.#random.below(4) === 0 ? 3_000 : 10)}`),
        id: this.#random.below(2) === 0 ? `${name}.${i}` : null,
      };
      this.#appends.push(one);
      await this.#append(log, one);
    }
  }

  async #append(log: Log, one: AppendTry): Promise<void> {
    try {
      const [receipt] = await log.append([entryOf(one)]);
      one.outcome = "acknowledged";
      one.receipt = receipt!;
    } catch (thrown) {
      one.outcome = "refused";
      throw thrown;
    }
  }

  async #committer(log: Log): Promise<void> {
    const membership = await member(log, "g", "in");
    for (let i = 0; i < 40; i++) {
      const one: CommitTry = { n: this.#commits.length, failsInApply: this.#random.below(5) === 0, isDurable: false };
      this.#commits.push(one);
      const text = `${one.n}`;
      try {
        const receipt = await log.commit(
          unit(membership, { positions: [{ topic: "in", partition: 0, position: one.n }], outputs: [output("out", 0, text), output("out", 1, text, text)] }),
          () => {
            log.database!.exec(`INSERT INTO applied VALUES (${one.n})`);
            if (one.failsInApply) throw new RangeError("on purpose");
          },
        );
        const durable = receipt.durable?.then(() => void (one.isDurable = true));
        if (this.#random.below(3) === 0) await durable;
        else {
          durable?.catch(() => {});
          await this.#run.runtime.yield();
        }
      } catch (thrown) {
        if (!one.failsInApply) throw thrown;
      }
    }
  }

  /** Opens the log anew and looks at all of it. */
  async inspect(life: number): Promise<void> {
    const before = this.violations.length;
    let log: Log;
    try {
      log = await this.#open();
    } catch (thrown) {
      this.#violation(`the log cannot be opened: ${String(thrown)}`);
      return;
    }
    try {
      await this.#inspectAppends(log);
      await this.#inspectCommits(log);
      await this.#sayAgain(log);
      // Once more from the file, so that what was just read becomes the truth of the next life.
      await log.close();
    } catch (thrown) {
      this.#violation(`the log cannot be read: ${String(thrown)}`);
    }
    for (let i = before; i < this.violations.length; i++) this.violations[i] = `seed ${this.#run.seed}, life ${life}: ${this.violations[i]}`;
  }

  async #inspectAppends(log: Log): Promise<void> {
    const places = new Map<string, { partition: number; position: number }>();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const seen = await readAll(log, { topic: "in", partition });
      seen.forEach(({ position, value }, index) => {
        if (position !== index) this.#violation(`L1: record ${index} of partition ${partition} has position ${position}`);
        if (places.has(value!)) this.#violation(`L2: ${value!.slice(0, 12)} is in the log twice`);
        places.set(value!, { partition, position });
      });
    }
    for (const { name, partition, values, outcome, receipt } of this.#appends) {
      const found = values.map((value) => places.get(value));
      const count = found.filter((place) => place !== undefined).length;
      if (count !== 0 && count !== values.length) this.#violation(`L3: ${count} of ${values.length} records of append ${name} are in`);
      if (outcome === "acknowledged" && count === 0) this.#violation(`L3: append ${name} was acknowledged and is not in`);
      const first = found[0];
      if (first === undefined || count !== values.length) continue;
      if (found.some((place, index) => place!.partition !== partition || place!.position !== first.position + index)) this.#violation(`L3: append ${name} does not lie together`);
      if (outcome === "acknowledged" && receipt!.position !== first.position) this.#violation(`L3: append ${name} lies at ${first.position}, its receipt said ${receipt!.position}`);
    }
  }

  async #inspectCommits(log: Log): Promise<void> {
    const outputs = [0, 1].map((partition) => readAll(log, { topic: "out", partition }));
    const [single, double] = (await Promise.all(outputs)).map((records) => records.map(({ value }) => Number(value)));
    const applied: number[] = [];
    const select = log.database!.prepare("SELECT n FROM applied ORDER BY rowid");
    while (select.step()) applied.push(select.number(0));
    select.finalize();
    const [committed] = await log.committed("g", [{ topic: "in", partition: 0 }]);

    const same = (left: readonly number[], right: readonly number[]): boolean => left.length === right.length && left.every((n, index) => n === right[index]);
    if (!same(single!, applied)) this.#violation(`L4: outputs [${single}] and state [${applied}] differ`);
    if (!same(double!, single!.flatMap((n) => [n, n]))) this.#violation(`L4: outputs [${single}] and [${double}] differ`);
    if ((committed?.position ?? -1) !== (applied.at(-1) ?? -1)) this.#violation(`L4: position ${committed?.position}, but the last state is ${applied.at(-1)}`);
    const isIn = new Set(applied);
    for (const { n, failsInApply, isDurable } of this.#commits) {
      if (isDurable && !isIn.has(n)) this.#violation(`L4: commit ${n} was durable and is not in`);
      if (failsInApply && isIn.has(n)) this.#violation(`L4: commit ${n} threw in apply and is in`);
    }
  }

  /** L9: whoever did not hear an answer asks again under the same id, and is in once. */
  async #sayAgain(log: Log): Promise<void> {
    const unheard = this.#appends.filter(({ id, outcome }) => id !== null && outcome !== "acknowledged");
    await Promise.all(unheard.map((one) => this.#append(log, one)));
    const known = this.#appends.filter(({ id, receipt }) => id !== null && receipt !== null);
    const again = await log.append(known.map((one) => entryOf(one)));
    known.forEach(({ name, receipt }, index) => {
      const { duplicate, differs, position } = again[index]!;
      if (!duplicate || differs || position !== receipt!.position) this.#violation(`L9: the id of append ${name} is not known any more`);
    });
    await this.#inspectAppends(log);
  }

  #violation(text: string): void {
    this.violations.push(text);
  }
}

function entryOf({ partition, values, id }: AppendTry): Append {
  const records = values.map((value) => ({ key: null, value, timestamp: 1 }));
  return { topic: "in", partition, records, id: id === null ? null : { scope: "s", value: id, keepMs: 1_000 } };
}
