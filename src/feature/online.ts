/**
 * How feature values are kept: the newest of each for queries of now, and all of them in the order of their observation for queries as of a moment.
 *
 * One task owns the values of a key, so that the newest observation wins whatever order they come in; of equal times, the later record.
 */
import type { KeyFormat } from "../record/key.ts";
import { partitionFor } from "../record/partitioner.ts";
import { unpackRow } from "../state/row-bytes.ts";
import type { StateStorage } from "../state/storage.ts";
import type { TopologyNode } from "../topology/node.ts";
import { requireKey } from "../stream/operators.ts";
import { featuresOf, featureStores, historyKey, historyStore, type KeptFeatures, type Online, onlineStore } from "./kept.ts";

/** Keeps the rows of a set. */
export function featureStep(kept: KeptFeatures): TopologyNode["build"] {
  const { keys } = kept;
  const [onlineSpec, historySpec] = featureStores(kept);
  return (context) => {
    const online = context.store(onlineSpec), history = context.store(historySpec);
    return {
      push: (packed, meta) => {
        if (packed === undefined) return;
        context.enter();
        requireKey(meta.key, meta);
        const [given, givenAt, version = 1] = packed as readonly [Readonly<Record<string, unknown>>, number | null, number?];
        const values = version === kept.version ? given : featuresOf(kept, given, version);
        const observedAt = givenAt ?? meta.timestamp;
        const id = keys.toId(meta.key);
        const before = (online.get(0, id) ?? {}) as Online;
        const after: Record<string, readonly [unknown, number]> = { ...before };
        for (const [feature, value] of Object.entries(values)) {
          if (value === undefined) continue;
          const known = Object.hasOwn(before, feature) ? before[feature] : undefined;
          if (known === undefined || observedAt >= known[1]) after[feature] = [value, observedAt];
          history.set(0, historyKey(id, feature, observedAt), [value]);
        }
        online.set(0, id, after);
      },
    };
  };
}

/** The partition whose task keeps the features of a key. */
export function featurePartition(keys: KeyFormat, key: unknown, partitions: number): number {
  return partitions === 1 ? 0 : partitionFor(keys.encode(key), partitions);
}

/** Committed values of features of a key, null where nothing was observed; with `at`, the newest observed at that moment or before. */
export function readFeatures(
  storage: StateStorage,
  entity: string,
  partitions: number,
  keys: KeyFormat,
  key: unknown,
  names: readonly string[],
  at: number | null,
): Record<string, unknown> {
  const partition = featurePartition(keys, key, partitions);
  const id = keys.toId(key);
  const answer: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, null]));
  const space = storage.findSpace(at === null ? onlineStore(entity) : historyStore(entity), partition);
  if (space === null) return answer;
  if (at !== null) {
    for (const name of names) {
      const row = storage.last(space, historyKey(id, name, -Infinity), historyKey(id, name, at));
      if (row !== null) answer[name] = (unpackRow(row.value) as readonly [unknown])[0];
    }
    return answer;
  }
  const bytes = storage.get(space, 0, id);
  if (bytes === null) return answer;
  const online = unpackRow(bytes) as Online;
  for (const name of names) answer[name] = online[name]?.[0] ?? null;
  return answer;
}
