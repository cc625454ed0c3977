/** What became of a letter, folded from its entries, against a model that looks at all of them at once. */
import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/base/random.ts";
import { afterEntry, type LetterStatus, nextRun, stateOf, untouched } from "../../../src/letter/letter-status.ts";
import type { AuditEntry, Change } from "../../../src/task/audit.ts";

const letter = { topic: "orders-dlq", position: 7 };

function folded(changes: readonly Change[]): LetterStatus {
  return changes.reduce((status, change, position) => afterEntry(status, { at: 0, by: "ann", change } satisfies AuditEntry, position), untouched);
}

function modelState(changes: readonly Change[]): string {
  const runs = (action: string): number[] => changes.flatMap((change) => change.action === action && "run" in change ? [change.run] : []);
  const lastMove = changes.findLast(({ action }) => action !== "edit");
  if (lastMove?.action === "purge") return "purged";
  const ordered = runs("replay"), taken = runs("replayed");
  if (ordered.some((run) => taken.every((other) => other < run))) return "queued";
  return taken.length > 0 ? "replayed" : "open";
}

describe("the fold of a letter's entries", () => {
  test("says what a look at all of them says, whatever their order", () => {
    const random = new Random(20_261_121);
    const seen = new Set<string>();
    for (let round = 0; round < 5_000; round++) {
      const changes = Array.from({ length: random.below(8) }, (): Change => {
        const run = 1 + random.below(3);
        switch (random.below(4)) {
          case 0:
            return { action: "replay", letter, run };
          case 1:
            return { action: "replayed", letter, run };
          case 2:
            return { action: "edit", letter, value: null };
          default:
            return { action: "purge", letter };
        }
      });
      const status = folded(changes);
      const edit = changes.findLastIndex(({ action }) => action === "edit");

      expect({ changes, state: stateOf(status) as string, editedAt: status.editedAt }).toEqual({
        changes,
        state: modelState(changes),
        editedAt: edit === -1 ? null : edit,
      });
      expect(nextRun(status)).toBe(1 + Math.max(0, ...changes.flatMap((change) => "run" in change ? [change.run] : [])));
      seen.add(stateOf(status));
    }
    expect([...seen].sort()).toEqual(["open", "purged", "queued", "replayed"]);
  });

  test("an order that is in the audit behind its outcome leaves the letter replayed", () => {
    expect(stateOf(folded([{ action: "replayed", letter, run: 1 }, { action: "replay", letter, run: 1 }]))).toBe("replayed");
    expect(stateOf(folded([{ action: "replayed", letter, run: 1 }, { action: "replay", letter, run: 2 }]))).toBe("queued");
  });
});
