/**
 * For tests of apps: {@linkcode testApp} runs a whole topology in memory, under a clock that only the test moves. And for makers of logs, disks and runtimes: the conformance suites of the
 * contracts, as data that any test runner can run.
 *
 * @module
 */
export { testApp } from "./test-app.ts";
export type { TestApp, TestAppOptions, TestReplayOptions, TestWorkerOptions } from "./test-app.ts";
export type { DeadLetter, LateTestRecord, TestRecord } from "./test-records.ts";
export { virtualRuntime } from "./virtual-runtime.ts";
export type { VirtualRuntime, VirtualRuntimeOptions } from "./virtual-runtime.ts";
export { Random } from "../base/random.ts";
export { FaultyDisk } from "./faulty-disk.ts";
export type { DiskFault, DiskOperation, FaultyDiskOptions } from "./faulty-disk.ts";
export type { SectorFates } from "./faulty-content.ts";
export { CaseFailure, runCase } from "./conformance/cases.ts";
export type { Case, CaseResult } from "./conformance/cases.ts";
export { codecCases } from "./conformance/codec-cases.ts";
export type { CodecSubject } from "./conformance/codec-subjects.ts";
export { diskCases } from "./conformance/disk-cases.ts";
export type { DiskSubject } from "./conformance/disk-cases.ts";
export { logCases } from "./conformance/log-cases.ts";
export type { LogSubject } from "./conformance/log-cases.ts";
export { runtimeCases } from "./conformance/runtime-cases.ts";
export type { RuntimeSubject } from "./conformance/runtime-cases.ts";
