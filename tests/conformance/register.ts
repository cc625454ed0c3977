/** Makes tests of conformance cases. */
import { describe, test } from "bun:test";
import type { Case } from "../../src/testing/conformance/cases.ts";

/** What a case gets, and how it is cleared away. */
export interface OpenedSubject<T> {
  readonly subject: T;
  close?(): void | Promise<void>;
}

/** Options of {@linkcode registerCases}. */
export interface RegisterOptions<T> {
  /** Makes a fresh subject for one case. */
  readonly open: () => OpenedSubject<T> | Promise<OpenedSubject<T>>;
  /** Capabilities that the subject has; a case that needs another is skipped. @default all */
  readonly has?: readonly string[];
  /** Of one case. @default that of the test runner */
  readonly timeoutMs?: number;
  /** Cases that cannot run here, by their whole name, with the reason. */
  readonly skip?: readonly { readonly reason: string; readonly names: readonly string[] }[];
}

/** Adds one test a case. A skip is named with its reason, and one that names no case fails. */
export function registerCases<T>(title: string, cases: readonly Case<T>[], { open, has, timeoutMs, skip = [] }: RegisterOptions<T>): void {
  const reasons = new Map(skip.flatMap(({ reason, names }) => names.map((name) => [name, reason] as const)));
  describe(title, () => {
    for (const one of cases) {
      const missing = one.needs !== undefined && has !== undefined && !has.includes(one.needs) ? `it has no capability ${one.needs}` : undefined;
      const reason = reasons.get(one.name) ?? missing;
      if (reason !== undefined) {
        test.skip(`${one.name} [skipped: ${reason}]`, () => undefined);
        continue;
      }
      test(one.name, async () => {
        const { subject, close } = await open();
        try {
          await one.run(subject);
        } finally {
          await close?.();
        }
      }, timeoutMs);
    }

    const names = new Set(cases.map((one) => one.name));
    const unknown = [...reasons.keys()].filter((name) => !names.has(name));
    if (unknown.length > 0) {
      test("the skipped cases exist", () => {
        throw new Error(`No case is named: ${unknown.join("; ")}`);
      });
    }
  });
}
