/** Looks at every page of a database's file that nobody has open: whether its checksum fits, and whether all of them are there. */
import { StoreError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Engine } from "./engine.ts";
import { CHECKSUM_BYTES, PageChecks } from "./page-checks.ts";
import { Vfs } from "./vfs.ts";
import { isPageSize, WalLayout } from "./wal-layout.ts";

const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;
/** Where the header holds the size of a page, what each reserves, and how many there are. */
const PAGE_BYTES_AT = 16, RESERVED_AT = 20, PAGES_AT = 28;
/** SQLite never uses the page that holds this byte: its locks are there. */
const LOCK_BYTE = 0x40000000;
const BITE_BYTES = 1_048_576;
const MEMORY_BYTES = 16_777_216;

/**
 * Reads the whole file, a bite at a time. Throws `StoreError` `STORE_CORRUPT`: it is none of ours, it was cut, or the checksum of a page does not fit. Gives its size in bytes.
 *
 * `shownAs` is its name in messages. What it says is true of the file alone: with a WAL beside it the file may be older than the database.
 */
export async function verifyFile(runtime: Runtime, disk: Disk, path: string, shownAs: string = path): Promise<number> {
  const [sqlite, shim] = await Promise.all([runtime.wasm("sqlite"), runtime.wasm("vfs")]);
  const file = disk.open(path, { create: false });
  try {
    const { pageBytes, pages } = readHeader(file, shownAs);
    const engine = new Engine(sqlite, runtime, MEMORY_BYTES);
    const checks = new PageChecks(engine, new Vfs({ engine, disk, runtime, module: shim, checksums: false }).shim, new WalLayout());
    const buffer = engine.allocate(BITE_BYTES);
    const bytes = pages * pageBytes;
    for (let start = 0; start < bytes; start += BITE_BYTES) {
      const wanted = Math.min(BITE_BYTES, bytes - start);
      if (file.read(engine.bytes.subarray(buffer, buffer + wanted), start) < wanted) throw corrupt(shownAs, "it ended while it was read");
      for (let at = 0; at < wanted; at += pageBytes) {
        const damage = start + at === LOCK_BYTE ? null : checks.readDatabase(buffer + at, pageBytes, start + at);
        if (damage !== null) throw corrupt(shownAs, damage);
      }
      await runtime.yield();
    }
    return bytes;
  } finally {
    file.close();
  }
}

function readHeader(file: DiskFile, path: string): { readonly pageBytes: number; readonly pages: number } {
  const header = new Uint8Array(HEADER_BYTES);
  const got = file.read(header, 0);
  if (got < HEADER_BYTES || [...MAGIC].some((letter, at) => header[at] !== letter.charCodeAt(0))) throw corrupt(path, "it is no SQLite database");
  const view = new DataView(header.buffer);
  const pageBytes = view.getUint16(PAGE_BYTES_AT) === 1 ? 65_536 : view.getUint16(PAGE_BYTES_AT);
  if (!isPageSize(pageBytes)) throw corrupt(path, `its header says pages of ${pageBytes} bytes`);
  if (header[RESERVED_AT] !== CHECKSUM_BYTES) {
    throw corrupt(path, `its pages reserve ${header[RESERVED_AT]} bytes, wanted ${CHECKSUM_BYTES} for a checksum: another program made it`);
  }
  const pages = view.getUint32(PAGES_AT);
  const size = file.size();
  if (size !== pages * pageBytes) throw corrupt(path, `it has ${size} bytes, its header says ${pages * pageBytes}`);
  return { pageBytes, pages };
}

function corrupt(path: string, why: string): StoreError {
  return new StoreError("STORE_CORRUPT", `Cannot trust "${path}": ${why}`, { details: { path } });
}
