/**
 * How feature values are kept: the newest of each for queries of now, and all of them in the order of their observation for queries as of a moment.
 *
 * One task owns the values of a key, so that the newest observation wins whatever order they come in; of equal times, the later record.
 */
import type { KeyFormat } from "../record/key.ts";
import { partitionFor } from "../record/partitioner.ts";
import { packRow, unpackRow } from "../state/row-bytes.ts";
import type { StateStorage, StoreSpec } from "../state/storage.ts";
import type { TopologyNode } from "../topology/node.ts";
import { requireKey } from "../stream/operators.ts";

/** By feature: value and when it was observed. */
type Online = Readonly<Record<string, readonly [value: unknown, observedAt: number]>>;

/** The stores of a set: newest values, and history. */
export function featureStores(entity: string): readonly [online: StoreSpec, history: StoreSpec] {
  return [
    { name: `${entity}#online`, fingerprint: "features online", pack: packRow, unpack: unpackRow },
    { name: `${entity}#history`, fingerprint: "features history", pack: packRow, unpack: unpackRow },
  ];
}

/** Keeps the rows of a set. */
export function featureStep(entity: string, keys: KeyFormat): TopologyNode["build"] {
  const [onlineSpec, historySpec] = featureStores(entity);
  return (context) => {
    const online = context.store(onlineSpec), history = context.store(historySpec);
    return {
      push: (packed, meta) => {
        if (packed === undefined) return;
        context.enter();
        requireKey(meta.key, meta);
        const [values, given] = packed as readonly [Readonly<Record<string, unknown>>, number | null];
        const observedAt = given ?? meta.timestamp;
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
  const [onlineSpec, historySpec] = featureStores(entity);
  const partition = featurePartition(keys, key, partitions);
  const id = keys.toId(key);
  const answer: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, null]));
  const space = storage.findSpace(at === null ? onlineSpec.name : historySpec.name, partition);
  if (space === null) return answer;
  if (at !== null) {
    for (const name of names) {
      const row = storage.last(space, historyKey(id, name, -TIME_OFFSET), historyKey(id, name, at));
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

const TIME_OFFSET = 2 ** 52;

/** Keys of one feature of one entity lie together, in the order of time. The length in front keeps apart what the parts could confuse. */
function historyKey(id: string, feature: string, observedAt: number): string {
  return `${id.length}:${id}\0${feature}\0${Math.max(0, Math.min(2 * TIME_OFFSET - 1, observedAt + TIME_OFFSET)).toString(16).padStart(14, "0")}`;
}
