/**
 * How batches should lie in SQLite: `<runtime> bench/log/layout.ts`. Transactions of some rows of 110 kB (1,000 records of 100 bytes) and of 300 bytes (one webhook),
 * over 8 partitions, then read in order. CPU (user and system) per row, median of rounds that take turns.
 */
import process from "node:process";
import { hostRuntime } from "../../adapters/host/host.ts";
import type { Database } from "../../src/sqlite/database.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import { tempDirectory } from "../../tests/shim/temp.ts";

interface Layout {
  readonly name: string;
  readonly create: (database: Database) => void;
  readonly insert: (database: Database) => (partition: number, base: number, bytes: Uint8Array) => void;
  readonly read: (database: Database) => (partition: number, base: number) => number;
}

const PARTITIONS = 8;
const ROUNDS = 7;

const layouts: readonly Layout[] = [
  {
    name: "without rowid",
    create: (database) =>
      database.exec("CREATE TABLE b (p INTEGER, base INTEGER, next INTEGER, time INTEGER, bytes BLOB, PRIMARY KEY (p, base)) WITHOUT ROWID"),
    insert: (database) => keyed(database, "INSERT INTO b VALUES (?, ?, ?, ?, ?)"),
    read: (database) => reading(database, "SELECT bytes FROM b WHERE p = ? AND base >= ? ORDER BY base LIMIT 1"),
  },
  {
    name: "rowid and index",
    create: (database) =>
      database.exec("CREATE TABLE b (p INTEGER, base INTEGER, next INTEGER, time INTEGER, bytes BLOB); CREATE UNIQUE INDEX i ON b (p, base)"),
    insert: (database) => keyed(database, "INSERT INTO b VALUES (?, ?, ?, ?, ?)"),
    read: (database) => reading(database, "SELECT bytes FROM b WHERE p = ? AND base >= ? ORDER BY base LIMIT 1"),
  },
  {
    name: "table a partition",
    create: (database) => {
      for (let p = 0; p < PARTITIONS; p++) database.exec(`CREATE TABLE b${p} (base INTEGER PRIMARY KEY, next INTEGER, time INTEGER, bytes BLOB)`);
    },
    insert: (database) => {
      const inserts = Array.from({ length: PARTITIONS }, (_, p) => database.prepare(`INSERT INTO b${p} VALUES (?, ?, ?, ?)`));
      return (partition, base, bytes) => {
        const insert = inserts[partition]!;
        insert.bindNumber(0, base);
        insert.bindNumber(1, base + 1_000);
        insert.bindNumber(2, 1e12);
        insert.bindBlob(3, bytes);
        insert.run();
      };
    },
    read: (database) => {
      const selects = Array.from({ length: PARTITIONS }, (_, p) => database.prepare(`SELECT bytes FROM b${p} WHERE base >= ? ORDER BY base LIMIT 1`));
      return (partition, base) => {
        const select = selects[partition]!;
        select.bindNumber(0, base);
        const length = select.step() ? select.blob(0).length : 0;
        select.reset();
        return length;
      };
    },
  },
];

function keyed(database: Database, sql: string): ReturnType<Layout["insert"]> {
  const insert = database.prepare(sql);
  return (partition, base, bytes) => {
    insert.bindNumber(0, partition);
    insert.bindNumber(1, base);
    insert.bindNumber(2, base + 1_000);
    insert.bindNumber(3, 1e12);
    insert.bindBlob(4, bytes);
    insert.run();
  };
}

function reading(database: Database, sql: string): ReturnType<Layout["read"]> {
  const select = database.prepare(sql);
  return (partition, base) => {
    select.bindNumber(0, partition);
    select.bindNumber(1, base);
    const length = select.step() ? select.blob(0).length : 0;
    select.reset();
    return length;
  };
}

function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

const median = (values: readonly number[]): number => [...values].sort((left, right) => left - right)[values.length >> 1]!;

const runtime = await hostRuntime();
runtime.print(`${runtime.name} ${runtime.version}, CPU us per row: insert / read`);
for (
  const { sizeBytes, rows, transactionRows } of [{ sizeBytes: 110_000, rows: 160, transactionRows: 8 }, { sizeBytes: 300, rows: 8_000, transactionRows: 8 }]
) {
  const bytes = runtime.randomBytes(Math.min(sizeBytes, 60_000));
  const blob = new Uint8Array(sizeBytes).map((_, index) => bytes[index % bytes.length]!);
  const opened = await Promise.all(layouts.map(async (layout) => {
    const directory = tempDirectory();
    const database = await openDatabase(runtime, runtime.disk(directory.path), "layout.db");
    layout.create(database);
    return { layout, database, directory, insert: layout.insert(database), read: layout.read(database), inserts: [] as number[], reads: [] as number[] };
  }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { database, insert, read, inserts, reads } of opened) {
      inserts.push(
        cpuUs(() => {
          for (let row = 0; row < rows; row += transactionRows) {
            database.exec("BEGIN");
            for (let i = 0; i < transactionRows; i++) insert(i % PARTITIONS, (round * rows + row) * 1_000, blob);
            database.exec("COMMIT");
          }
        }) / rows,
      );
      reads.push(
        cpuUs(() => {
          for (let row = 0; row < rows; row += transactionRows) for (let i = 0; i < transactionRows; i++) read(i % PARTITIONS, (round * rows + row) * 1_000);
        }) / rows,
      );
    }
  }
  for (const { layout, database, directory, inserts, reads } of opened) {
    runtime.print(`  ${sizeBytes} bytes, ${layout.name.padEnd(18)} ${median(inserts).toFixed(1)} / ${median(reads).toFixed(1)}`);
    database.close();
    directory.remove();
  }
}
