/** What an embedded log holds beyond what the `Log` contract tells: all of its topics, the groups that read them, and the ids it has seen. For whoever takes it elsewhere as a whole. */
import type { Database } from "../sqlite/database.ts";
import type { Retention, TopicSpec } from "./log.ts";

/** An id that is still one. */
export interface KnownId {
  readonly scope: string;
  readonly value: string;
  /** Of the record it came with. */
  readonly topic: string;
  /** Of the content: a repeat with another one differs. */
  readonly checksum: number;
  /** Wall clock, ms. */
  readonly expiresAt: number;
}

/** Reads the tables of an embedded log, between its transactions. */
export class EmbeddedContents {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** All topics, as they were made or changed last. */
  topics(): TopicSpec[] {
    const sql = "SELECT name, retention, internal, (SELECT count(*) FROM log_partitions WHERE topic = log_topics.id) FROM log_topics ORDER BY name";
    const select = this.#database.prepare(sql);
    const found: TopicSpec[] = [];
    try {
      while (select.step()) {
        found.push({
          name: select.text(0),
          retention: JSON.parse(select.text(1)) as Retention,
          internal: select.number(2) === 1,
          partitions: select.number(3),
        });
      }
      return found;
    } finally {
      select.finalize();
    }
  }

  /** The groups that have committed positions. */
  groups(): string[] {
    const select = this.#database.prepare("SELECT name FROM log_groups WHERE id IN (SELECT team FROM log_positions) ORDER BY name");
    const found: string[] = [];
    try {
      while (select.step()) found.push(select.text(0));
      return found;
    } finally {
      select.finalize();
    }
  }

  /** How many ids count at `now`. */
  countIds(now: number): number {
    const select = this.#database.prepare("SELECT count(*) FROM log_ids WHERE expires > ?1");
    try {
      select.bindNumber(0, now);
      return select.step() ? select.number(0) : 0;
    } finally {
      select.finalize();
    }
  }

  /** The ids that count at `now`, `pageSize` at a time. */
  *ids(now: number, pageSize: number): Iterable<readonly KnownId[]> {
    const sql = "SELECT scope, value, log_topics.name, checksum, expires FROM log_ids JOIN log_partitions ON log_partitions.id = partition " +
      "JOIN log_topics ON log_topics.id = topic WHERE (scope, value) > (?1, ?2) AND expires > ?3 ORDER BY scope, value LIMIT ?4";
    const select = this.#database.prepare(sql);
    try {
      for (let scope = "", value = "";;) {
        const page: KnownId[] = [];
        select.bindText(0, scope);
        select.bindText(1, value);
        select.bindNumber(2, now);
        select.bindNumber(3, pageSize);
        while (select.step()) {
          page.push({ scope: select.text(0), value: select.text(1), topic: select.text(2), checksum: select.number(3), expiresAt: select.number(4) });
        }
        if (page.length === 0) return;
        yield page;
        ({ scope, value } = page.at(-1)!);
      }
    } finally {
      select.finalize();
    }
  }
}
