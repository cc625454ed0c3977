/** What operators ordered, as one worker knows it: follows `<app>-control`. */
import type { Log, PartitionReader } from "../log/log.ts";
import { RecordCursor } from "../record/cursor.ts";
import type { TopicPartition } from "../record/record.ts";
import { type Command, readControl } from "./control-topic.ts";
import { controlTopicName } from "./own-topics.ts";

const CHUNK_BYTES = 262_144;

/** A command with the id that it has. */
export interface NumberedCommand extends Command {
  /** Its position in the topic: later ones are larger. */
  readonly id: number;
}

/** The newest orders of each partition. */
export class Controls {
  readonly #log: Log;
  readonly #topic: string;
  readonly #wake: () => void;
  readonly #cursor = new RecordCursor({ cutBatch: "refuse" });
  /** By kind and partition. */
  readonly #newest = new Map<string, NumberedCommand>();
  #reader: PartitionReader | null = null;
  #arrived: (() => void) | null = null;
  #isClosed = false;

  /** `wake` is called when there may be something to `poll`. */
  constructor(log: Log, app: string, wake: () => void) {
    this.#log = log;
    this.#topic = controlTopicName(app);
    this.#wake = wake;
  }

  /** Fulfils once everything that was ordered before this call is known. */
  async catchUp(): Promise<void> {
    const [partition] = await this.#log.describe([this.#topic]);
    if (this.#isClosed) return;
    const reader = this.#reader ??= this.#log.reader({ topic: this.#topic, partition: 0 }, partition!.start, () => this.#onArrival());
    for (;;) {
      const arrival = new Promise<void>((resolve) => this.#arrived = resolve);
      this.poll();
      if (this.#isClosed || reader.position >= partition!.end) return;
      await arrival;
    }
  }

  /** Takes what has come; true when something has. */
  poll(): boolean {
    const reader = this.#reader;
    if (reader === null) return false;
    let hasNews = false;
    for (;;) {
      const position = reader.position;
      const chunk = reader.take(CHUNK_BYTES);
      if (chunk === null) return hasNews;
      this.#cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (this.#cursor.next()) {
        const value = this.#cursor.valueBytes();
        const command = value === null ? null : readControl(value);
        if (command === null) continue;
        this.#newest.set(`${command.order.kind} ${command.topic}/${command.partition}`, { ...command, id: this.#cursor.position });
        hasNews = true;
      }
    }
  }

  /** What is known of the topic lies below this position. */
  get position(): number {
    return this.#reader?.position ?? 0;
  }

  /** The newest order of a kind for a partition; null: there was none. */
  newest(kind: Command["order"]["kind"], { topic, partition }: TopicPartition): NumberedCommand | null {
    return this.#newest.get(`${kind} ${topic}/${partition}`) ?? null;
  }

  /** Who paused a partition; null: nobody did. */
  paused(at: TopicPartition): NumberedCommand | null {
    const command = this.newest("pause", at);
    return command?.order.kind === "pause" && command.order.isPaused ? command : null;
  }

  close(): void {
    this.#isClosed = true;
    this.#reader?.close();
    this.#arrived?.();
  }

  #onArrival(): void {
    this.#arrived?.();
    this.#wake();
  }
}
