/** What the stores of a task have for one key, as text: for dead letters, so that whoever reads one sees what the record met. */
import { jsonValue } from "../base/json-value.ts";
import type { StateStore } from "../state/store.ts";

const CHARACTERS_MAX = 8_000;
/** Windows of a store that are shown. */
const WINDOWS_MAX = 8;

/** JSON by store, and by the end of the window where it has windows; null: they have nothing. Stores of the engine's own are left out, and what would make it too long is only counted. */
export function keyState(stores: Iterable<StateStore>, keyId: string, timestamp: number): string | null {
  const parts: string[] = [];
  let length = 0, left = 0;
  for (const store of stores) {
    if (store.spec.name.includes("#")) continue;
    const found = store.near(keyId, timestamp, WINDOWS_MAX);
    if (found.length === 0) continue;
    const shown = store.spec.show ?? ((value: unknown) => value);
    const value = found[0]![0] === 0 ? shown(found[0]![1]) : Object.fromEntries(found.map(([time, kept]) => [new Date(time).toISOString(), shown(kept)]));
    const text = `${JSON.stringify(store.spec.name)}:${JSON.stringify(value, jsonValue) ?? "null"}`;
    if (length + text.length > CHARACTERS_MAX) left++;
    else {
      parts.push(text);
      length += text.length;
    }
  }
  if (left > 0) parts.push(`"…":"${left} more, too long to show"`);
  return parts.length === 0 ? null : `{${parts.join(",")}}`;
}
