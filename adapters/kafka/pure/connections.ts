/**
 * The connections to the brokers: one for each broker and lane, opened when first used and again after it was lost.
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { backoffMs } from "../../../src/base/backoff.ts";
import type { ClientSettings } from "../client.ts";
import { closedFailure, kafkaFailure, lostConnection } from "../failure.ts";
import { isAuthenticationError, reasonOf } from "./answer.ts";
import { Connection } from "./platformatic.ts";
import type { ConnectionOptions } from "./platformatic.ts";

/** What a connection is for: a broker handles one request of a connection at a time, so that long polls, joins and large writes must not stand in front of others. */
export type Lane = "control" | "produce" | "fetch" | "poll" | `group-${number}`;

/** The longest a connection may take to be there, login included. */
const CONNECT_TIMEOUT_MAX_MS = 10_000;
const SASL_AUTHENTICATION_FAILED = 58;

/** Pauses before the next connection to an address that could not be reached: whoever wants one meanwhile waits for it, however many they are. */
const PAUSE_FIRST_MS = 20;
const PAUSE_MAX_MS = 1_000;

/** Connections by address and lane. */
export class Connections {
  readonly #settings: ClientSettings;
  readonly #options: ConnectionOptions;
  readonly #open = new Map<string, { readonly connection: Connection; readonly ready: Promise<Connection> }>();
  /** How often in a row an address could not be reached, and when last. */
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  readonly #closing: PromiseWithResolvers<void> = Promise.withResolvers();
  #isClosed = false;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#options = connectionOptions(settings);
  }

  /** Whether there is, or soon will be, a connection. */
  has(lane: Lane, address: string): boolean {
    return this.#open.has(`${lane} ${address}`);
  }

  /** A connection that is there; rejects with a retriable error when none can be made, and with another for a login that was refused. */
  to(lane: Lane, address: string): Promise<Connection> {
    const key = `${lane} ${address}`;
    const known = this.#open.get(key);
    if (known !== undefined) return known.ready;
    if (this.#isClosed) return Promise.reject(closedFailure(`connect to ${address}`));
    const tlsServerName = isIP(hostOf(address)) === 0;
    const connection = new Connection(this.#settings.clientId, { ...this.#options, tlsServerName });
    const forget = (): void => {
      if (this.#open.get(key)?.connection === connection) this.#open.delete(key);
      cut(connection);
    };
    // Without a listener an error of the socket would end the process; who waits for an answer hears of the end of the connection.
    connection.on("error", forget);
    connection.once("close", forget);
    const ready = this.#connected(key, connection, address);
    this.#open.set(key, { connection, ready });
    ready.catch(forget);
    return ready;
  }

  /** Cuts a connection: what is under way on it fails. */
  drop(connection: Connection): void {
    for (const [key, open] of this.#open) if (open.connection === connection) this.#open.delete(key);
    cut(connection);
  }

  /** A broker did not answer on a connection: it is cut, and so are those on which it may let us wait for minutes, for they may lead nowhere, too. */
  giveUp(connection: Connection): void {
    const address = [...this.#open].find(([, open]) => open.connection === connection)?.[0].split(" ")[1];
    this.drop(connection);
    for (const [key, open] of this.#open) if (key.startsWith("group-") && key.endsWith(` ${address}`)) this.drop(open.connection);
  }

  /** Cuts those of a lane: nobody needs it any more. */
  release(lane: Lane): void {
    for (const [key, { connection }] of this.#open) {
      if (key.startsWith(`${lane} `)) this.drop(connection);
    }
  }

  /** Cuts them all; none is opened any more. */
  close(): void {
    this.#isClosed = true;
    this.#closing.resolve();
    for (const { connection } of this.#open.values()) cut(connection);
    this.#open.clear();
  }

  /** A moment of the monotonic clock; ends with `close()`, too. */
  async #until(moment: number): Promise<void> {
    const { runtime } = this.#settings;
    const pause = Promise.withResolvers<void>();
    const timer = runtime.setTimer(pause.resolve, Math.max(0, moment - runtime.monotonic()));
    await Promise.race([pause.promise, this.#closing.promise]);
    timer.cancel();
  }

  async #connected(key: string, connection: Connection, address: string): Promise<Connection> {
    const what = `connect to ${address}`;
    const { runtime } = this.#settings;
    const failed = this.#failures.get(address);
    try {
      if (failed !== undefined) {
        await this.#until(failed.at + pauseMs(failed.count, runtime));
        if (this.#open.get(key)?.connection !== connection) throw new Error("nobody needs it any more");
      }
      await connection.connect(hostOf(address), portOf(address));
      this.#failures.delete(address);
      return connection;
    } catch (error) {
      if (this.#isClosed) throw closedFailure(what);
      this.#failures.set(address, { count: (this.#failures.get(address)?.count ?? 0) + 1, at: runtime.monotonic() });
      throw isAuthenticationError(error) ? kafkaFailure(SASL_AUTHENTICATION_FAILED, what, error) : lostConnection(what, reasonOf(error));
    }
  }
}

function pauseMs(failures: number, runtime: ClientSettings["runtime"]): number {
  return backoffMs({ attempt: failures, firstMs: PAUSE_FIRST_MS, maxMs: PAUSE_MAX_MS, random: () => (runtime.randomBytes(1)[0] ?? 0) / 256 });
}

/** Ends the socket, and with it what is under way. */
function cut(connection: Connection): void {
  // Clears the timer for the next login, which the end of the socket leaves behind.
  void connection.close();
  // A connection that never began has none.
  (connection.socket as Connection["socket"] | undefined)?.destroy();
}

function connectionOptions(settings: ClientSettings): ConnectionOptions {
  const { tls, sasl } = settings;
  return {
    connectTimeout: Math.min(CONNECT_TIMEOUT_MAX_MS, settings.timeoutMs),
    // Time-outs are the cluster's: they differ by request.
    requestTimeout: 2 ** 31 - 1,
    maxInflights: 1_000_000,
    ...(tls === null ? {} : { tls: { ...optional("ca", tls.ca), ...optional("cert", tls.cert), ...optional("key", tls.key) } }),
    ...(sasl === null ? {} : { sasl: { mechanism: mechanisms[sasl.mechanism], username: sasl.username, password: sasl.password } }),
  };
}

const mechanisms = { plain: "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512" } as const;

function optional(name: string, pem: string | null): Record<string, Buffer> {
  return pem === null ? {} : { [name]: Buffer.from(pem) };
}

/** `::1` of `[::1]:9092`. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
