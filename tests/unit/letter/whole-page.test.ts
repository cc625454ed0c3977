/** Pages of whole letters: what whoever changes many of them reads. */
import { describe, expect, test } from "bun:test";
import type { LetterBoxName } from "../../../src/letter/letter.ts";
import type { LetterView } from "../../../src/letter/letter-view.ts";
import { deadLetter, deskStand, put, START } from "./desk-stand.ts";

const box: LetterBoxName = { kind: "dead", source: "orders" };

describe("a page of whole letters", () => {
  test("gives each once, in order, with the newest value and the one before", async () => {
    const { log, desk } = await deskStand();
    await put(log, Array.from({ length: 7 }, (_, index) => deadLetter({ value: { id: `o${index}`, amount: -index }, at: START + index })));
    await desk.edit(box, [{ id: 2, value: { id: "o2", amount: 5 } }], "ann");
    await desk.edit(box, [{ id: 2, value: { id: "o2", amount: 6 } }, { id: 4, tombstone: true }], "ann");
    await desk.purge(box, { ids: [3] }, { by: "ann" });

    const found: LetterView[] = [];
    for (let after: number | undefined, more = true; more;) {
      const { letters, next } = await desk.whole(box, { limit: 2, after });
      expect(letters.length).toBeLessThanOrEqual(2);
      found.push(...letters);
      more = next !== null;
      after = next ?? undefined;
    }

    expect(found.map(({ id }) => id)).toEqual([0, 1, 2, 4, 5, 6]);
    expect(found[2]).toMatchObject({ value: { id: "o2", amount: 6 }, original: { value: { id: "o2", amount: -2 } }, history: [], error: { name: "RangeError" } });
    expect(found[3]).toMatchObject({ tombstone: true, original: { value: { id: "o4", amount: -4 } } });
    expect(found[0]).toEqual({ ...(await desk.letter(box, 0))!, history: [] });
  });

  test("ends early where letters are large, and goes on with the next", async () => {
    const { log, desk } = await deskStand();
    await put(log, Array.from({ length: 5 }, (_, index) => deadLetter({ value: { id: `o${index}`, text: "x".repeat(400_000) } })));

    const { letters, next } = await desk.whole(box, { limit: 100 });
    const rest = await desk.whole(box, { limit: 100, after: next! });

    expect([letters.map(({ id }) => id), next]).toEqual([[0, 1, 2], 2]);
    expect([rest.letters.map(({ id }) => id), rest.next]).toEqual([[3, 4], null]);
  });
});
