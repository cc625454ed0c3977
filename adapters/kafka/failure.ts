/**
 * What the error codes of Kafka's protocol mean, in one table, and the errors made of them. librdkafka gives the same numbers for what a broker says, so both clients use it.
 *
 * Each error tells in its details what to do about it: `kind`, and Kafka's name and number.
 */
import { DecodeError, DefinitionError, ExternalError, FencedError, isStreamError, messageOf } from "../../src/base/errors.ts";
import type { StreamError } from "../../src/base/errors.ts";
import { closed } from "../../src/log/failure.ts";

/**
 * What to do about an error: `retriable`, try again; `refresh`, look for leader or coordinator first, then try again; `fenced`, another has our place; `abort`, the transaction must be
 * aborted and the producer begin anew; `unknownTopic`, `tooLarge`, `outOfRange`, `auth`, `invalid`: for whoever asked; `fatal`: nothing helps from here.
 */
export type FailureKind = "retriable" | "refresh" | "fenced" | "abort" | "unknownTopic" | "tooLarge" | "outOfRange" | "auth" | "invalid" | "fatal";

/** One error code of the protocol. */
export interface KafkaCode {
  /** Kafka's name. */
  readonly name: string;
  readonly kind: FailureKind;
  /** What it says, in our words. */
  readonly says: string;
}

/** The log's name, in front of its errors. */
const LOG = "kafka";
/** A caller that was refused for the log's trouble comes again after this. */
const RETRY_AFTER_MS = 1_000;

/** Every code a client can meet. 0 is no error. */
export const kafkaCodes: Readonly<Record<number, KafkaCode>> = Object.freeze(Object.fromEntries(
  ([
    [-1, "UNKNOWN_SERVER_ERROR", "fatal", "the broker failed and does not say why"],
    [1, "OFFSET_OUT_OF_RANGE", "outOfRange", "the position is not, or no longer, in the partition"],
    [2, "CORRUPT_MESSAGE", "retriable", "the records were damaged on their way"],
    [3, "UNKNOWN_TOPIC_OR_PARTITION", "unknownTopic", "the cluster has no such topic or partition"],
    [4, "INVALID_FETCH_SIZE", "invalid", "the size asked for makes no sense"],
    [5, "LEADER_NOT_AVAILABLE", "refresh", "the partition has no leader for the moment"],
    [6, "NOT_LEADER_OR_FOLLOWER", "refresh", "the broker is not the partition's leader any more"],
    [7, "REQUEST_TIMED_OUT", "retriable", "the broker did not finish in time"],
    [8, "BROKER_NOT_AVAILABLE", "refresh", "the broker is not there"],
    [9, "REPLICA_NOT_AVAILABLE", "refresh", "the replica is not there"],
    [10, "MESSAGE_TOO_LARGE", "tooLarge", "a batch is larger than the topic's max.message.bytes"],
    [11, "STALE_CONTROLLER_EPOCH", "refresh", "the controller has moved"],
    [12, "OFFSET_METADATA_TOO_LARGE", "invalid", "the metadata of a committed position is too large"],
    [13, "NETWORK_EXCEPTION", "refresh", "the broker cut the connection"],
    [14, "COORDINATOR_LOAD_IN_PROGRESS", "retriable", "the coordinator is still loading its state"],
    [15, "COORDINATOR_NOT_AVAILABLE", "refresh", "there is no coordinator for the moment"],
    [16, "NOT_COORDINATOR", "refresh", "the coordinator has moved to another broker"],
    [17, "INVALID_TOPIC_EXCEPTION", "invalid", "the broker does not take this topic name, or lets nobody write to the topic"],
    [18, "RECORD_LIST_TOO_LARGE", "tooLarge", "the records are larger together than a segment of the topic"],
    [19, "NOT_ENOUGH_REPLICAS", "retriable", "fewer replicas are in sync than min.insync.replicas asks for"],
    [20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "retriable", "the records were written, but to fewer replicas than min.insync.replicas asks for"],
    [21, "INVALID_REQUIRED_ACKS", "invalid", "the broker does not take this acks setting"],
    [22, "ILLEGAL_GENERATION", "fenced", "the group has moved on to another generation"],
    [23, "INCONSISTENT_GROUP_PROTOCOL", "invalid", "the other members of the group assign partitions in another way"],
    [24, "INVALID_GROUP_ID", "invalid", "the broker does not take this group name"],
    [25, "UNKNOWN_MEMBER_ID", "fenced", "the group does not know the member any more"],
    [
      26,
      "INVALID_SESSION_TIMEOUT",
      "invalid",
      "the session time-out is outside of what the broker takes (group.min.session.timeout.ms to group.max.session.timeout.ms)",
    ],
    [27, "REBALANCE_IN_PROGRESS", "fenced", "the group is sharing its partitions out anew"],
    [28, "INVALID_COMMIT_OFFSET_SIZE", "invalid", "the positions to commit are too large"],
    [29, "TOPIC_AUTHORIZATION_FAILED", "auth", "this user has no right to the topic"],
    [30, "GROUP_AUTHORIZATION_FAILED", "auth", "this user has no right to the group"],
    [31, "CLUSTER_AUTHORIZATION_FAILED", "auth", "this user has no right to do this in the cluster"],
    [
      32,
      "INVALID_TIMESTAMP",
      "invalid",
      "the topic does not take the records' timestamps: see message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ],
    [33, "UNSUPPORTED_SASL_MECHANISM", "auth", "the broker does not offer this SASL mechanism"],
    [34, "ILLEGAL_SASL_STATE", "auth", "the broker did not expect a login here: see the listener's security protocol"],
    [35, "UNSUPPORTED_VERSION", "fatal", "the broker is too old for this: Kafka 3.2 or later is needed"],
    [36, "TOPIC_ALREADY_EXISTS", "invalid", "the topic is there already"],
    [37, "INVALID_PARTITIONS", "invalid", "the broker does not take this number of partitions"],
    [38, "INVALID_REPLICATION_FACTOR", "invalid", "the cluster has too few brokers for the replication factor: set replicationFactor"],
    [39, "INVALID_REPLICA_ASSIGNMENT", "invalid", "the broker does not take this placing of replicas"],
    [40, "INVALID_CONFIG", "invalid", "the broker does not take a setting of the topic"],
    [41, "NOT_CONTROLLER", "refresh", "the broker is not the controller any more"],
    [42, "INVALID_REQUEST", "fatal", "the broker does not understand the request"],
    [43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "fatal", "the topic keeps records in a format that is too old"],
    [44, "POLICY_VIOLATION", "invalid", "a policy of the cluster forbids it"],
    [45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "abort", "the broker misses records before these"],
    [46, "DUPLICATE_SEQUENCE_NUMBER", "abort", "the broker has these records already"],
    [47, "INVALID_PRODUCER_EPOCH", "abort", "the transaction was ended by another: it took too long, or its transactional id is in use elsewhere"],
    [48, "INVALID_TXN_STATE", "abort", "the transaction is not in a state that allows this"],
    [49, "INVALID_PRODUCER_ID_MAPPING", "abort", "the transactional id belongs to another producer by now"],
    [50, "INVALID_TRANSACTION_TIMEOUT", "invalid", "transactionTimeout is larger than the broker's transaction.max.timeout.ms"],
    [51, "CONCURRENT_TRANSACTIONS", "retriable", "the transaction before this one is still being ended"],
    [52, "TRANSACTION_COORDINATOR_FENCED", "refresh", "the transaction coordinator has moved"],
    [53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "auth", "this user has no right to the transactional id"],
    [54, "SECURITY_DISABLED", "invalid", "the cluster has no security set up"],
    [55, "OPERATION_NOT_ATTEMPTED", "abort", "another partition of the request was refused"],
    [56, "KAFKA_STORAGE_ERROR", "refresh", "the broker's disk failed"],
    [57, "LOG_DIR_NOT_FOUND", "fatal", "the broker does not know the directory"],
    [58, "SASL_AUTHENTICATION_FAILED", "auth", "the broker refused user name and password"],
    [59, "UNKNOWN_PRODUCER_ID", "abort", "the broker has forgotten the producer"],
    [60, "REASSIGNMENT_IN_PROGRESS", "retriable", "the partition is being moved"],
    [61, "DELEGATION_TOKEN_AUTH_DISABLED", "auth", "the cluster takes no delegation tokens"],
    [62, "DELEGATION_TOKEN_NOT_FOUND", "auth", "the delegation token is unknown"],
    [63, "DELEGATION_TOKEN_OWNER_MISMATCH", "auth", "the delegation token belongs to another user"],
    [64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "auth", "delegation tokens cannot be asked for here"],
    [65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "auth", "this user has no right to the delegation token"],
    [66, "DELEGATION_TOKEN_EXPIRED", "auth", "the delegation token has expired"],
    [67, "INVALID_PRINCIPAL_TYPE", "auth", "the broker does not know this kind of user"],
    [68, "NON_EMPTY_GROUP", "invalid", "the group has members"],
    [69, "GROUP_ID_NOT_FOUND", "invalid", "there is no such group"],
    [70, "FETCH_SESSION_ID_NOT_FOUND", "retriable", "the broker has forgotten the fetch session"],
    [71, "INVALID_FETCH_SESSION_EPOCH", "retriable", "the fetch session is out of step"],
    [72, "LISTENER_NOT_FOUND", "refresh", "the partition's leader has no listener of this name"],
    [73, "TOPIC_DELETION_DISABLED", "invalid", "the cluster lets nobody delete topics"],
    [74, "FENCED_LEADER_EPOCH", "refresh", "the partition has another leader by now"],
    [75, "UNKNOWN_LEADER_EPOCH", "refresh", "the broker does not know of the partition's newest leader yet"],
    [76, "UNSUPPORTED_COMPRESSION_TYPE", "invalid", "the broker does not know the compression: choose another one"],
    [77, "STALE_BROKER_EPOCH", "refresh", "the broker was restarted"],
    [78, "OFFSET_NOT_AVAILABLE", "retriable", "a new leader does not know the end of the partition yet"],
    [79, "MEMBER_ID_REQUIRED", "retriable", "the coordinator gives a member id first"],
    [80, "PREFERRED_LEADER_NOT_AVAILABLE", "refresh", "the preferred leader is not there"],
    [81, "GROUP_MAX_SIZE_REACHED", "invalid", "the group has as many members as the broker takes (group.max.size)"],
    [82, "FENCED_INSTANCE_ID", "fenced", "another member came under the same instance id"],
    [83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", "refresh", "no replica may lead the partition"],
    [84, "ELECTION_NOT_NEEDED", "invalid", "the partition has the right leader"],
    [85, "NO_REASSIGNMENT_IN_PROGRESS", "invalid", "the partition is not being moved"],
    [86, "GROUP_SUBSCRIBED_TO_TOPIC", "invalid", "a member of the group reads the topic"],
    [87, "INVALID_RECORD", "invalid", "the broker does not take the records: a compacted topic wants a key in each"],
    [88, "UNSTABLE_OFFSET_COMMIT", "retriable", "a transaction that moves the position is still under way"],
    [89, "THROTTLING_QUOTA_EXCEEDED", "retriable", "the quota is used up"],
    [90, "PRODUCER_FENCED", "fenced", "another took the transactional id"],
    [91, "RESOURCE_NOT_FOUND", "invalid", "the broker does not know what the request is about"],
    [92, "DUPLICATE_RESOURCE", "invalid", "the request names something twice"],
    [93, "UNACCEPTABLE_CREDENTIAL", "auth", "the broker does not take the credential"],
    [94, "INCONSISTENT_VOTER_SET", "fatal", "the controllers disagree"],
    [95, "INVALID_UPDATE_VERSION", "fatal", "the version is not one the cluster can be moved to"],
    [96, "FEATURE_UPDATE_FAILED", "fatal", "the cluster's features could not be changed"],
    [97, "PRINCIPAL_DESERIALIZATION_FAILURE", "fatal", "the broker could not pass the user on"],
    [98, "SNAPSHOT_NOT_FOUND", "fatal", "the snapshot is gone"],
    [99, "POSITION_OUT_OF_RANGE", "fatal", "the position is not in the snapshot"],
    [100, "UNKNOWN_TOPIC_ID", "refresh", "the topic was deleted, or made anew"],
    [101, "DUPLICATE_BROKER_REGISTRATION", "fatal", "two brokers have one id"],
    [102, "BROKER_ID_NOT_REGISTERED", "refresh", "the broker is not registered"],
    [103, "INCONSISTENT_TOPIC_ID", "refresh", "the topic was made anew"],
    [104, "INCONSISTENT_CLUSTER_ID", "fatal", "the brokers belong to different clusters"],
    [105, "TRANSACTIONAL_ID_NOT_FOUND", "invalid", "there is no such transactional id"],
    [106, "FETCH_SESSION_TOPIC_ID_ERROR", "retriable", "the fetch session is out of step"],
    [107, "INELIGIBLE_REPLICA", "refresh", "the replica may not be in sync"],
    [108, "NEW_LEADER_ELECTED", "refresh", "the partition has another leader by now"],
    [109, "OFFSET_MOVED_TO_TIERED_STORAGE", "retriable", "the records were moved to tiered storage"],
    [110, "FENCED_MEMBER_EPOCH", "fenced", "the group has moved on without the member"],
    [111, "UNRELEASED_INSTANCE_ID", "retriable", "the instance id is still in use by another member"],
    [112, "UNSUPPORTED_ASSIGNOR", "invalid", "the coordinator does not know this way of assigning partitions"],
    [113, "STALE_MEMBER_EPOCH", "fenced", "the group has moved on"],
    [114, "MISMATCHED_ENDPOINT_TYPE", "invalid", "the address is that of a controller: give brokers"],
    [115, "UNSUPPORTED_ENDPOINT_TYPE", "invalid", "the broker does not know this kind of address"],
    [116, "UNKNOWN_CONTROLLER_ID", "refresh", "the controller is unknown"],
    [117, "UNKNOWN_SUBSCRIPTION_ID", "retriable", "the broker asks for other telemetry"],
    [118, "TELEMETRY_TOO_LARGE", "invalid", "telemetry is too large"],
    [119, "INVALID_REGISTRATION", "fatal", "the registration does not hold"],
    [120, "TRANSACTION_ABORTABLE", "abort", "the broker asks for the transaction to be aborted"],
    [121, "INVALID_RECORD_STATE", "invalid", "the record was acknowledged already"],
    [122, "SHARE_SESSION_NOT_FOUND", "retriable", "the broker has forgotten the share session"],
    [123, "INVALID_SHARE_SESSION_EPOCH", "retriable", "the share session is out of step"],
    [124, "FENCED_STATE_EPOCH", "fatal", "the share coordinator has moved on"],
    [125, "INVALID_VOTER_KEY", "fatal", "the controller's key does not match"],
    [126, "DUPLICATE_VOTER", "fatal", "the controller is a voter already"],
    [127, "VOTER_NOT_FOUND", "fatal", "the controller is no voter"],
    [128, "INVALID_REGULAR_EXPRESSION", "invalid", "the pattern of topics is not understood"],
    [129, "REBOOTSTRAP_REQUIRED", "refresh", "the client has to find the cluster anew"],
  ] as const).map(([code, name, kind, says]) => [code, Object.freeze({ name, kind, says })]),
));

/** The error a code stands for: `[kafka] Cannot <what>: <what the code says> (<its name>)`. */
export function kafkaFailure(code: number, what: string, cause?: unknown): StreamError {
  const { name, kind, says } = kafkaCodes[code] ?? { name: `code ${code}`, kind: "fatal", says: "the broker answered with a code that is not known here" };
  return failureOf(kind, `[${LOG}] Cannot ${what}: ${says} (${name})`, { kind, kafkaName: name, kafkaCode: code }, cause);
}

/** No answer: the connection was lost, could not be made, or a request took too long. Retriable; who asks again looks for the leader first. */
export function lostConnection(what: string, cause: unknown): StreamError {
  const why = cause === undefined || cause === null ? "the connection was lost" : messageOf(cause);
  return failureOf("refresh", `[${LOG}] Cannot ${what}: no answer from the broker (${why})`, { kind: "refresh" }, cause);
}

/** After `close` every call is this. */
export function closedFailure(what: string): StreamError {
  return closed(LOG, what);
}

/** Whether trying the same again may help. */
export function isRetriable(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === "retriable" || kind === "refresh";
}

/** Whether what is known of leaders and coordinators is no longer true. So it may be for a topic that is unknown: a broker knows of a new one a moment later than another. */
export function needsRefresh(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === "refresh" || kind === "unknownTopic";
}

/** Whether another has our place. */
export function isFencing(error: unknown): boolean {
  return failureKind(error) === "fenced" || (isStreamError(error) && error.domain === "control");
}

/** What to do about an error of this log; null for other errors. */
export function failureKind(error: unknown): FailureKind | null {
  return isStreamError(error) ? ((error.details["kind"] as FailureKind | undefined) ?? null) : null;
}

/** The number in Kafka's protocol behind an error of this log; null where there is none. */
export function kafkaCodeOf(error: unknown): number | null {
  return isStreamError(error) ? ((error.details["kafkaCode"] as number | undefined) ?? null) : null;
}

function failureOf(kind: FailureKind, message: string, details: Readonly<Record<string, unknown>>, cause: unknown): StreamError {
  const info = cause === undefined ? { details } : { details, cause };
  switch (kind) {
    case "fenced":
      return new FencedError(message, info);
    case "unknownTopic":
      return new DefinitionError(message, { ...info, code: "LOG_TOPIC_UNKNOWN" });
    case "tooLarge":
      return new DecodeError("RECORD_TOO_LARGE", message, info);
    case "outOfRange":
      return new ExternalError("LOG_POSITION_OUT_OF_RANGE", message, info);
    case "auth":
      return new DefinitionError(message, { ...info, code: "CONFIG_INVALID" });
    case "invalid":
      return new DefinitionError(message, { ...info, code: "OPTION_INVALID" });
    case "abort":
      return new ExternalError("LOG_COMMIT_FAILED", message, info);
    default:
      return new ExternalError("LOG_UNAVAILABLE", message, kind === "fatal" ? info : { ...info, retryAfterMs: RETRY_AFTER_MS });
  }
}
