import { describe, expect, test } from "bun:test";
import { Admission } from "../../../src/http/admission.ts";

describe("Admission", () => {
  test("counts those who send apart from those at work", () => {
    const admission = new Admission({ requestsMax: 1, readingMax: 2 });
    const first = admission.enter();
    const second = admission.enter();

    expect(() => admission.enter()).toThrow("Too many requests are under way. Try again.");
    first.work();
    expect([admission.reading, admission.working]).toEqual([1, 1]);
    expect(() => second.work()).toThrow("Too many requests are under way. Try again.");
    expect(() => admission.enter()).toThrow("Too many requests are under way. Try again.");

    first.release();
    second.work();
    expect([admission.reading, admission.working]).toEqual([0, 1]);
  });

  test("gives everything back, once", () => {
    const admission = new Admission({ bodyBytesUnderWayMax: 10 });
    const admitted = admission.enter();
    admitted.hold(7);

    expect(() => admitted.hold(4)).toThrow("Too many requests are under way. Try again.");
    admitted.drop(2);
    expect(admission.bytes).toBe(5);
    admitted.work();
    admitted.release();
    admitted.release();

    expect([admission.reading, admission.working, admission.bytes]).toEqual([0, 0, 0]);
  });
});
