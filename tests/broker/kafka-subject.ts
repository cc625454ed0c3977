/** What the cases about Kafka run on. */
import type { ClientSettings, KafkaClient } from "../../adapters/kafka/client.ts";
import type { Log } from "../../src/log/log.ts";
import type { ClientName } from "./kafka-clients.ts";

/** A broker and a client under test. */
export interface KafkaSubject {
  readonly bootstrap: string;
  readonly prefix: string;
  readonly client: ClientName;
  /** Clients that can run here, the one under test among them. */
  readonly clients: readonly ClientName[];
  /** Opens a log, closed when the case is over. `worker` stands for its transactional id. */
  open(worker: string, more?: Partial<ClientSettings>, client?: ClientName): Promise<Log>;
  /** Opens a client without a log around it, closed when the case is over. */
  openClient(worker: string): Promise<KafkaClient>;
}
