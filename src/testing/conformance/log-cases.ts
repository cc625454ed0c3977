/**
 * The conformance cases of the `Log` contract, as data: any runner can run them on any implementation. Each name begins with the
 * invariant it proves. A case wants a fresh subject.
 *
 * @module
 */
import type { Case } from "./cases.ts";
import { idCases, positionCases, topicCases } from "./log-append-cases.ts";
import { commitCases } from "./log-commit-cases.ts";
import { groupCases } from "./log-group-cases.ts";
import type { LogSubject } from "./log-subject.ts";
import { timeCases } from "./log-time-cases.ts";

export type { LogSubject } from "./log-subject.ts";

/** L1 to L14. */
export const logCases: readonly Case<LogSubject>[] = [...positionCases, ...idCases, ...topicCases, ...commitCases, ...groupCases, ...timeCases];
