/** What has come of an app of payments, so that two runs of it can be compared. */
import type { App } from "../../../../mod.ts";
import { toHex } from "../../../../src/base/bytes.ts";
import type { Log } from "../../../../src/log/log.ts";
import { RecordCursor } from "../../../../src/record/cursor.ts";
import { headerText } from "../../../../src/record/headers.ts";
import type { Bank } from "./bank.ts";

/** A record as results hold it. */
export interface FoundRecord {
  readonly partition: number;
  readonly position: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What was said of each key, in its order; features; letters. */
export interface Results {
  readonly outputs: readonly (readonly (readonly [partition: number, key: string | null, value: string | null, timestamp: number])[])[];
  readonly letters: readonly (readonly unknown[])[];
  readonly features: readonly unknown[];
}

/** All records of a topic, partition by partition; none where there is no such topic. */
export async function recordsIn(log: Log, topic: string): Promise<FoundRecord[]> {
  const found: FoundRecord[] = [];
  if (log.partitionsOf(topic) === null) return found;
  for (const { partition, start, end } of await log.describe([topic])) {
    let arrived = Promise.withResolvers<void>();
    const reader = log.reader({ topic, partition }, start, () => arrived.resolve());
    const cursor = new RecordCursor();
    while (reader.position < end) {
      arrived = Promise.withResolvers();
      const position = reader.position;
      const chunk = reader.take(1_000_000);
      if (chunk === null) {
        if (reader.position < end) await arrived.promise;
        continue;
      }
      cursor.open(chunk.bytes, chunk.start, chunk.end, position);
      while (cursor.next()) {
        const headers = Object.fromEntries(cursor.headers().map(({ name, value }) => [name, headerText(value)]));
        found.push({
          partition,
          position: cursor.position,
          key: cursor.keyText(),
          value: cursor.valueBytes()?.slice() ?? null,
          timestamp: cursor.timestamp,
          headers,
        });
      }
    }
    reader.close();
  }
  return found;
}

/** Of several keys nobody promises an order. Headers of letters that differ by nature from one log to another, or from one moment to another, are left out. */
export async function resultsOf({ outputs, input, account }: Bank, app: App, log: Log): Promise<Results> {
  const said = async (topic: string): Promise<Results["outputs"][number]> => {
    const all = (await recordsIn(log, topic)).map(({ partition, key, value, timestamp }) => [partition, key, textOf(value), timestamp] as const);
    return all.sort(([, left], [, right]) => left! < right! ? -1 : left! > right! ? 1 : 0);
  };
  const letters = async (kind: string): Promise<readonly unknown[]> => {
    const all = (await recordsIn(log, `${input}-${kind}`)).map(({ key, value, headers }) => {
      const { "mr-stack": _stack, "mr-position": _position, "mr-at": _at, "mr-state": _state, ...told } = headers;
      return JSON.stringify([key, value === null ? null : toHex(value), Object.entries(told).sort()]);
    });
    return all.sort();
  };
  const accounts = Array.from({ length: 7 }, (_, n) => `account-${n}`);
  return {
    outputs: await Promise.all(outputs.map(said)),
    letters: [await letters("dlq"), await letters("late")],
    features: await Promise.all(accounts.map((key) => app.query(account, key))),
  };
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes);
}
