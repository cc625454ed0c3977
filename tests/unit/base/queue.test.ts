import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Queue } from "../../../src/base/queue.ts";

const seed = 20261104;

describe(`Queue, seed ${seed}`, () => {
  test("Queue does what an array does", () => {
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.constant("push" as const) },
      { weight: 2, arbitrary: fc.constant("pushFront" as const) },
      { weight: 3, arbitrary: fc.constant("shift" as const) },
      { weight: 2, arbitrary: fc.constant("pop" as const) },
      { weight: 1, arbitrary: fc.constant("clear" as const) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
        const queue = new Queue<number>();
        let model: number[] = [];
        for (const [i, kind] of actions.entries()) {
          if (kind === "push") queue.push(i), model.push(i);
          else if (kind === "pushFront") queue.pushFront(i), model.unshift(i);
          else if (kind === "shift") expect(queue.shift()).toBe(model.shift());
          else if (kind === "pop") expect(queue.pop()).toBe(model.pop());
          else if (i % 10 === 0) queue.clear(), model = [];
        }
        expect([queue.length, ...queue]).toEqual([model.length, ...model]);
        expect([queue.at(-1), queue.at(0), queue.at(model.length - 1), queue.at(model.length)]).toEqual([undefined, model[0], model.at(-1), undefined]);
      }),
      { seed, numRuns: 300 },
    );
  });

  test("Queue grows when it is wrapped around", () => {
    const queue = new Queue<number>();
    for (let i = 0; i < 10; i++) queue.push(i);
    for (let i = 0; i < 8; i++) queue.shift();
    for (let i = 10; i < 100; i++) queue.push(i);

    expect([...queue]).toEqual(Array.from({ length: 92 }, (_item, i) => i + 8));
  });
});
