/** A broker's process, for tests and scripts. */
export interface Broker {
  /** `127.0.0.1:port`; the same over restarts. */
  readonly bootstrap: string;
  /** Of the JVM that runs, or that ran last. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** Its data, its log and its server.properties. */
  readonly directory: string;
  /** Ends it in order (SIGTERM); its data stay. */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL); its data stay. */
  kill(): Promise<void>;
  /** Stops the clock for it (SIGSTOP): it keeps its connections and answers nothing. */
  pause(): Promise<void>;
  /** Goes on after `pause()` (SIGCONT). */
  resume(): Promise<void>;
  /** Starts it again with its data and ports, after `stop()` when it runs, and waits until it answers. */
  restart(): Promise<void>;
  /** Kills it and deletes its data. */
  remove(): Promise<void>;
  /** The last lines of its log. */
  log(): string;
}

/** Options of {@linkcode startBroker}. */
export interface BrokerOptions {
  /** Added to server.properties. */
  readonly config?: Readonly<Record<string, string>>;
  /** Of its heap; default 384. */
  readonly heapMb?: number;
  /** Of its listener; default: one that is free. */
  readonly port?: number;
  /** How long a start may take; default 60,000. */
  readonly timeoutMs?: number;
}

/** Starts a broker with its own data in the system's folder for temporary files, and waits until it answers. It ends with this process, however that ends. Throws when it does not start. */
export function startBroker(options?: BrokerOptions): Promise<Broker>;

/** Why no broker can be started here; null when one can. */
export function brokerFault(): string | null;
