/** What librdkafka's own errors mean, those with negative numbers; the others are the protocol's. */
import { DefinitionError, ExternalError, isStreamError, messageOf } from "../../../src/base/errors.ts";
import type { StreamError } from "../../../src/base/errors.ts";
import { kafkaCodes, kafkaFailure, lostConnection } from "../failure.ts";
import type { NativeError } from "./confluent.ts";

/** librdkafka's own numbers that code branches on. */
export const NativeCode = {
  /** A record was not sent any more, for its transaction had failed. */
  purgedInQueue: -152,
  purgedInFlight: -151,
  fatal: -150,
  assign: -175,
  revoke: -174,
  conflict: -173,
  fenced: -144,
  /** A position is out of range, and nothing says where to go on instead. */
  noReset: -140,
  unknownPartition: -190,
  unknownTopic: -188,
  timedOut: -185,
  queueFull: -184,
} as const;

/** No answer from a broker. */
const UNREACHABLE: ReadonlySet<number> = new Set([-197, -195, -193, -192, -187, -185, -184, -180, -166, -164, -153, -152, -151, -137]);

/** The protocol's number for what librdkafka says in its own. */
const PROTOCOL_CODES: Readonly<Record<number, number>> = {
  [-199]: 2,
  [-198]: 76,
  [-190]: 3,
  [-188]: 3,
  [-181]: 58,
  [-179]: 69,
  [-169]: 58,
  [-147]: 25,
  [-144]: 90,
  [-142]: 25,
  [-140]: 1,
  [-139]: 1,
  [-138]: 87,
};

/** The error of a call that librdkafka refused: `[kafka] Cannot <what>: …`. Errors of Millrace come through as they are. */
export function nativeFailure(thrown: unknown, what: string): StreamError {
  if (isStreamError(thrown)) return thrown;
  const code = codeOf(thrown);
  if (code === null) return new ExternalError("LOG_UNAVAILABLE", `[kafka] Cannot ${what}: ${messageOf(thrown)}`, { cause: thrown });
  if (UNREACHABLE.has(code)) return lostConnection(what, thrown);
  const protocol = PROTOCOL_CODES[code] ?? code;
  if (protocol in kafkaCodes && protocol > 0) return kafkaFailure(protocol, what, thrown);
  const message = `[kafka] Cannot ${what}: ${messageOf(thrown)} (librdkafka ${code})`;
  const details = { kind: "fatal", nativeCode: code };
  if (code === -186) return new DefinitionError(message, { code: "OPTION_INVALID", details: { ...details, kind: "invalid" }, cause: thrown });
  return new ExternalError("LOG_UNAVAILABLE", message, { details, cause: thrown });
}

/** The number of an error of librdkafka; null for other values. */
export function codeOf(thrown: unknown): number | null {
  const code = (thrown as NativeError | null | undefined)?.code;
  return typeof code === "number" ? code : null;
}
