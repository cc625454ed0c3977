/** Which requests this client makes, and whether a broker takes them: one that does not would cut the connection without a word. */
import { kafkaFailure } from "../failure.ts";
import { apiVersionsV3 } from "./platformatic.ts";
import type { Connection } from "./platformatic.ts";

/** Name, number and version of each request. Kafka 3.2 is the first that takes all of them. */
export const requests: readonly (readonly [name: string, key: number, version: number])[] = [
  ["Produce", 0, 9],
  ["Fetch", 1, 13],
  ["ListOffsets", 2, 7],
  ["Metadata", 3, 12],
  ["OffsetCommit", 8, 8],
  ["OffsetFetch", 9, 8],
  ["FindCoordinator", 10, 4],
  ["JoinGroup", 11, 9],
  ["Heartbeat", 12, 4],
  ["LeaveGroup", 13, 5],
  ["SyncGroup", 14, 5],
  ["CreateTopics", 19, 7],
  ["DeleteRecords", 21, 2],
  ["InitProducerId", 22, 4],
  ["AddPartitionsToTxn", 24, 3],
  ["AddOffsetsToTxn", 25, 3],
  ["EndTxn", 26, 3],
  ["TxnOffsetCommit", 28, 3],
  ["DescribeConfigs", 32, 4],
];

/** What a broker says it takes of a request. */
export interface ApiRange {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

const UNSUPPORTED_VERSION = 35;

/** The request that a broker does not take, in words; null: it takes all. */
export function missingRequest(ranges: readonly ApiRange[]): string | null {
  for (const [name, key, version] of requests) {
    const range = ranges.find(({ apiKey }) => apiKey === key);
    if (range === undefined) return `it does not know ${name}, wanted version ${version}`;
    if (version < range.minVersion || version > range.maxVersion) return `it takes ${name} ${range.minVersion} to ${range.maxVersion}, wanted ${version}`;
  }
  return null;
}

/** Asks a broker; rejects when it lacks a request. */
export async function checkVersions(connection: Connection): Promise<void> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, "millrace", "0");
  const missing = missingRequest(apiKeys);
  if (missing !== null) throw kafkaFailure(UNSUPPORTED_VERSION, `use the broker at ${connection.host}:${connection.port}, for ${missing}`);
}
