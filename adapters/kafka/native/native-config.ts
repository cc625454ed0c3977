/** The options of a client by librdkafka's names. */
import type { ClientSettings } from "../client.ts";
import type { NativeConfig } from "./confluent.ts";

/** Batches are sent when they are this large, flushed, or have waited. */
const BATCH_BYTES = 262_144;
/** What a broker may hold an empty fetch for. librdkafka says that the end is reached only when one comes back, and begins with new partitions only then. */
const FETCH_WAIT_MS = 100;

const MIN_REQUEST_MS = 1_000;

/** For any handle. */
export function baseConfig(settings: ClientSettings): NativeConfig {
  const { tls, sasl } = settings;
  const config: Record<string, unknown> = {
    "bootstrap.servers": settings.brokers.join(","),
    "client.id": settings.clientId,
    "security.protocol": `${sasl === null ? "" : "sasl_"}${tls === null ? "plaintext" : "ssl"}`,
    // Some calls end only when their request does, whatever time-out they are given.
    "socket.timeout.ms": Math.max(MIN_REQUEST_MS, Math.min(60_000, settings.timeoutMs)),
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "socket.keepalive.enable": true,
    "topic.metadata.propagation.max.ms": Math.min(settings.timeoutMs, 5_000),
  };
  if (tls !== null) {
    if (tls.ca === null) config["ssl.ca.location"] = "probe";
    else config["ssl.ca.pem"] = tls.ca;
    if (tls.cert !== null) config["ssl.certificate.pem"] = tls.cert;
    if (tls.key !== null) config["ssl.key.pem"] = tls.key;
  }
  if (sasl !== null) {
    config["sasl.mechanisms"] = sasl.mechanism.toUpperCase();
    config["sasl.username"] = sasl.username;
    config["sasl.password"] = sasl.password;
  }
  return config;
}

/** For appends: each record is reported. */
export function appenderConfig(settings: ClientSettings): NativeConfig {
  // Long enough for a batch to be handed over record by record, so that it is not cut in two.
  return { ...writerConfig(settings), "linger.ms": 2, "message.timeout.ms": settings.timeoutMs, dr_cb: true };
}

/** For transactions: only failures are reported. */
export function transactionConfig(settings: ClientSettings): NativeConfig {
  return {
    ...writerConfig(settings),
    "transactional.id": settings.transactionalId,
    "transaction.timeout.ms": settings.transactionTimeoutMs,
    "socket.timeout.ms": Math.max(MIN_REQUEST_MS, Math.min(60_000, settings.timeoutMs, settings.transactionTimeoutMs - 100)),
    // A transaction may begin while the one before is still being ended.
    "retry.backoff.ms": 20,
    // The commit flushes; until then only full batches go out.
    "linger.ms": 50,
    "message.timeout.ms": Math.min(settings.timeoutMs, settings.transactionTimeoutMs),
    "delivery.report.only.error": true,
    dr_cb: true,
  };
}

/** For a member of a group that fetches nothing. */
export function memberConfig(settings: ClientSettings, group: string, instanceId: string | null): NativeConfig {
  return {
    ...baseConfig(settings),
    "group.id": group,
    "group.protocol": "classic",
    "partition.assignment.strategy": "range",
    "enable.auto.commit": false,
    "enable.auto.offset.store": false,
    "isolation.level": "read_committed",
    "session.timeout.ms": settings.sessionTimeoutMs,
    "heartbeat.interval.ms": Math.min(1_000, Math.floor(settings.sessionTimeoutMs / 3)),
    // Also how long the others wait for this member in a rebalance. A loop that is blocked for longer is out.
    "max.poll.interval.ms": Math.max(settings.rebalanceTimeoutMs, settings.sessionTimeoutMs),
    ...instanceId === null ? {} : { "group.instance.id": instanceId },
  };
}

/** For reading partitions outside of any group. */
export function readerConfig(settings: ClientSettings, group: string): NativeConfig {
  const kilobytes = Math.max(16, Math.ceil(settings.prefetchBytes / 1_024));
  return {
    ...baseConfig(settings),
    // librdkafka wants a name; nobody joins or commits under it.
    "group.id": group,
    "enable.auto.commit": false,
    "enable.auto.offset.store": false,
    "enable.partition.eof": true,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": FETCH_WAIT_MS,
    "fetch.message.max.bytes": kilobytes * 1_024,
    "queued.max.messages.kbytes": 4 * kilobytes,
    // Else it looks only once a second whether there is room again.
    "fetch.queue.backoff.ms": 5,
    "fetch.error.backoff.ms": 100,
    "check.crcs": true,
  };
}

function writerConfig(settings: ClientSettings): NativeConfig {
  return {
    ...baseConfig(settings),
    "enable.idempotence": true,
    "compression.codec": settings.compression,
    "batch.size": BATCH_BYTES,
    "batch.num.messages": 1_000_000,
    // What is too large is for the broker to say: the limit is the topic's.
    "message.max.bytes": 1_000_000_000,
    // Callers bound what is under way, by records and bytes that they hold themselves.
    "queue.buffering.max.messages": 0,
    "queue.buffering.max.kbytes": 2_097_151,
  };
}
