import { expect, test } from "bun:test";
import fc from "fast-check";
import { rangeAssignment } from "../../../src/log/range-assignment.ts";

const SEED = 20_261_120;

test("rangeAssignment() gives runs, the first members one more", () => {
  const members = [{ name: "a", topics: ["t"] }, { name: "b", topics: ["t", "u"] }, { name: "c", topics: ["t"] }];

  const assignment = rangeAssignment(members, (topic) => topic === "t" ? 7 : 2);

  expect([...assignment].map(([{ name }, all]) => `${name}: ${all.map(({ topic, partition }) => `${topic}${partition}`).join(" ")}`)).toEqual([
    ...["a: t0 t1 t2", "b: t3 t4 u0 u1", "c: t5 t6"],
  ]);
});

test(`rangeAssignment() gives each partition one owner among those who want its topic (seed ${SEED})`, () => {
  const member = fc.record({ topics: fc.uniqueArray(fc.constantFrom("t", "u", "v")) as fc.Arbitrary<string[]> });
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), fc.integer({ min: 1, max: 12 }), (members, partitions) => {
      const owners = new Map<string, number>();
      for (const [{ topics }, all] of rangeAssignment(members, () => partitions)) {
        for (const { topic, partition } of all) {
          expect(topics).toContain(topic);
          owners.set(`${topic}${partition}`, (owners.get(`${topic}${partition}`) ?? 0) + 1);
        }
      }
      const wanted = new Set(members.flatMap(({ topics }) => topics));
      expect([...owners.values()]).toEqual(Array<number>(wanted.size * partitions).fill(1));
    }),
    { seed: SEED },
  );
});
