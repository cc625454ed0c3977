/** Opens a database: lock, checks, SQLite, and the settings its guarantees rest on, each of them verified. */
import { DefinitionError, StoreError } from "../base/errors.ts";
import type { Disk, DiskLock } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Connection } from "./connection.ts";
import type { Database, DatabaseOptions } from "./database.ts";
import { Engine } from "./engine.ts";
import { CHECKSUM_BYTES } from "./page-checks.ts";
import { Vfs } from "./vfs.ts";

/** `SQLITE_FCNTL_RESERVE_BYTES`. */
const CONTROL_RESERVE_BYTES = 38;
/** The file system that copies are written by. */
const COPIES = "copies";
const KIB = 1_024;
const MEMORY_BYTES_MIN = 8_388_608;

const defaults = Object.freeze(
  {
    pageBytes: 4_096,
    cacheBytes: 16_777_216,
    journal: "wal",
    checkpointBytes: 16_777_216,
    memoryBytesMax: 2_147_483_648,
    checksums: true,
  } as const,
);

/** Options of {@linkcode openDatabase}. */
export interface OpenDatabaseOptions extends DatabaseOptions {
  /** For other processes that find the files locked. */
  readonly facts?: Readonly<Record<string, string>>;
  /** The lock of `<path>.lock`, where the caller has taken it already: released when the database is closed. */
  readonly lock?: DiskLock;
}

/**
 * Opens the database at `path` of a disk; makes it when there is none.
 *
 * Throws `DefinitionError` `OPTION_INVALID`, and `StoreError`: `DISK_LOCKED` while another process (or another connection of this one) has it, `STORE_CORRUPT` when the files are
 * damaged, `STORE_FULL`, `DISK_FAILED`.
 */
export async function openDatabase(runtime: Runtime, disk: Disk, path: string, options: OpenDatabaseOptions = {}): Promise<Database> {
  checkOptions(options);
  const [sqlite, shim] = await Promise.all([runtime.wasm("sqlite"), runtime.wasm("vfs")]);
  const { checksums, memoryBytesMax } = { ...defaults, ...options };
  const lock = options.lock ?? disk.lock(`${path}.lock`, options.facts);
  let vfs: Vfs | null = null;
  let connection: Connection | null = null;
  try {
    const hasWal = checkFiles(disk, path);
    const engine = new Engine(sqlite, runtime, memoryBytesMax);
    const files = { engine, disk, runtime, module: shim, checksums };
    vfs = new Vfs(files);
    connection = new Connection({ engine, vfs, path, lock, copyFiles: () => ({ vfs: new Vfs({ ...files, name: COPIES }), name: COPIES, disk }) });
    configure(connection, options);
    if (hasWal) settleWal(connection, path);
    return connection;
  } catch (error) {
    abandon(connection, vfs);
    lock.release();
    throw error;
  }
}

function checkOptions(options: DatabaseOptions): void {
  const { pageBytes, cacheBytes, checkpointBytes, memoryBytesMax } = { ...defaults, ...options };
  const faults: string[] = [];
  // Smaller pages would share a sector, and a torn one would take its neighbours with it.
  if (![4_096, 8_192, 16_384, 32_768, 65_536].includes(pageBytes)) faults.push(`pageBytes is ${pageBytes}, wanted a power of two from 4096 to 65536`);
  if (!(cacheBytes > 0)) faults.push(`cacheBytes is ${cacheBytes}, wanted more than 0`);
  if (!(checkpointBytes > 0)) faults.push(`checkpointBytes is ${checkpointBytes}, wanted more than 0`);
  if (!(memoryBytesMax >= MEMORY_BYTES_MIN)) faults.push(`memoryBytesMax is ${memoryBytesMax}, wanted at least ${MEMORY_BYTES_MIN}`);
  if (faults.length > 0) throw new DefinitionError(`Cannot open a database: ${faults.join("; ")}`, { code: "OPTION_INVALID", faults });
}

/** Whether there is a WAL. SQLite would take one without its file for left-overs and delete it. */
function checkFiles(disk: Disk, path: string): boolean {
  const walSize = sizeOf(disk, `${path}-wal`);
  if (walSize === 0 || sizeOf(disk, path) > 0) return walSize > 0;
  throw new StoreError("STORE_CORRUPT", `Cannot open "${path}": the file is empty or gone, but its log "${path}-wal" has ${walSize} bytes`, {
    details: { path, walSize },
  });
}

function sizeOf(disk: Disk, path: string): number {
  if (!disk.exists(path)) return 0;
  const file = disk.open(path, { create: false });
  try {
    return file.size();
  } finally {
    file.close();
  }
}

function configure(connection: Connection, options: OpenDatabaseOptions): void {
  const { pageBytes, cacheBytes, journal, checkpointBytes, checksums } = { ...defaults, ...options };
  // A file that has pages keeps what it reserves.
  if (checksums) connection.control(CONTROL_RESERVE_BYTES, CHECKSUM_BYTES);
  // Before anything reads the file: there is no shared memory, so SQLite opens a WAL only in this mode.
  expectPragma(connection, "locking_mode=exclusive", "exclusive");
  connection.exec(`PRAGMA page_size=${pageBytes}; PRAGMA temp_store=memory; PRAGMA cache_size=-${Math.ceil(cacheBytes / KIB)}`);
  // Before the journal mode, which is written to a new file with the syncs that these ask for.
  connection.exec("PRAGMA synchronous=full; PRAGMA checkpoint_fullfsync=on");
  expectPragma(connection, `journal_mode=${journal}`, journal);
  const actualPageBytes = Number(pragma(connection, "page_size"));
  connection.exec(`PRAGMA wal_autocheckpoint=${Math.max(1, Math.ceil(checkpointBytes / actualPageBytes))}`);
  // Reads page 1 and the schema, so that damage is found here.
  pragma(connection, "schema_version");
}

/**
 * Moves what an earlier process left in the WAL into the file, so that a new WAL begins. Going on behind the last frame would not do: where a loss of power took the frame that pads the last
 * commit, the next one would be written into the sector that the commit ends in, and a second loss of power would take both.
 */
function settleWal(connection: Connection, path: string): void {
  const statement = connection.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  try {
    const isDone = statement.step() && statement.number(0) === 0 && statement.number(1) === statement.number(2);
    statement.reset();
    if (!isDone) throw new StoreError("SQLITE_FAILED", `Cannot open "${path}": what is in its log cannot be moved into the file`, { details: { path } });
  } finally {
    statement.finalize();
  }
}

function expectPragma(connection: Connection, setting: string, wanted: string): void {
  const actual = pragma(connection, setting);
  if (actual !== wanted) throw new StoreError("SQLITE_FAILED", `Cannot set ${setting}: SQLite answered "${actual}", wanted "${wanted}"`);
}

function pragma(connection: Connection, setting: string): string {
  const statement = connection.prepare(`PRAGMA ${setting}`);
  try {
    return statement.step() ? statement.text(0) : "";
  } finally {
    statement.finalize();
  }
}

/** Leaves the files as they are. */
function abandon(connection: Connection | null, vfs: Vfs | null): void {
  if (vfs === null) return;
  vfs.fatal ??= new StoreError("DISK_FAILED", "The database could not be opened");
  connection?.close();
  vfs.dispose();
}
