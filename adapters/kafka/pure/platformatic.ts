/** The one door to the package that holds the connections: TLS, SASL, framing and correlation are its own, records and retries are ours. */
export {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  Connection,
  createTopicsV7,
  deleteRecordsV2,
  describeConfigsV4,
  endTxnV3,
  findCoordinatorV4,
  heartbeatV4,
  initProducerIdV4,
  joinGroupV9,
  leaveGroupV5,
  listOffsetsV7,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
  Reader,
  ResponseError,
  syncGroupV5,
  txnOffsetCommitV3,
  Writer,
} from "@platformatic/kafka";
export {
  AuthenticationError,
  compressionsAlgorithms,
  compressionsAlgorithmsByBitmask,
  decodeConsumerProtocolAssignment,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
  UserError,
} from "@platformatic/kafka";
export type { ConnectionOptions, ResponseParser } from "@platformatic/kafka";
