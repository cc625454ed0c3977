import { describe, expect, test } from "bun:test";
import { Random } from "../../../src/base/random.ts";

describe("Random", () => {
  test("gives the same numbers for the same seed, on every runtime", () => {
    const random = new Random(42);

    expect(Array.from({ length: 6 }, () => random.word())).toEqual([1959603763, 2423114712, 2466933512, 4144396390, 3569536208, 2879541286]);
  });

  test("gives other numbers for other seeds, the neighbours too", () => {
    const firsts = Array.from({ length: 1_000 }, (_, seed) => new Random(seed).word());

    expect(new Set(firsts).size).toBe(1_000);
  });

  test("below(), between(), chance() and pick() spread evenly over what they may give", () => {
    const random = new Random(3);
    const counts = { below: new Array<number>(5).fill(0), between: new Array<number>(5).fill(0), chance: 0, pick: new Map<string, number>() };
    for (let i = 0; i < 10_000; i++) {
      counts.below[random.below(5)]!++;
      counts.between[random.between(-2, 2) + 2]!++;
      if (random.chance(0.2)) counts.chance++;
      const item = random.pick(["a", "b", "c", "d", "e"]);
      counts.pick.set(item, (counts.pick.get(item) ?? 0) + 1);
    }

    // Five standard deviations of 10,000 draws with a chance of one in five.
    for (const count of [...counts.below, ...counts.between, counts.chance, ...counts.pick.values()]) expect(Math.abs(count - 2_000)).toBeLessThan(200);
  });

  test("shuffle() keeps the items and leaves the argument alone", () => {
    const items = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const shuffled = new Random(1).shuffle(items);

    expect(items).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(shuffled).not.toEqual(items);
    expect([...shuffled].sort()).toEqual(items);
  });

  test("fork() makes a generator whose draws leave the first one's later numbers alone", () => {
    const one = new Random(5), other = new Random(5);
    const fork = one.fork();
    other.fork();
    for (let i = 0; i < 10; i++) fork.word();

    expect(one.word()).toBe(other.word());
  });
});
