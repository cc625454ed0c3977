/**
 * Checksums of pages. In the database file they lie in the last 8 bytes of each page, which SQLite keeps free (its "reserved bytes"); in the WAL, whose frames have checksums of
 * SQLite's that only recovery looks at, they are kept in memory for as long as the file is open: learnt when a frame is written, or when recovery reads it.
 */
import { StoreError } from "../base/errors.ts";
import type { Engine, Pointer, ShimExports } from "./engine.ts";
import { isPageSize } from "./wal-layout.ts";
import type { WalLayout } from "./wal-layout.ts";

/** Reserved bytes at the end of each page. */
export const CHECKSUM_BYTES = 8;
/** Where the file's header says how many bytes of each page are reserved. */
const RESERVED_AT = 20;
/** Frames that the first table holds. */
const FRAMES_INITIAL = 1_024;

/** The checksums of one database. Its methods answer with the damage, in words, or null. */
export class PageChecks {
  readonly #engine: Engine;
  readonly #shim: ShimExports;
  readonly #layout: WalLayout;
  /** 8 bytes a frame, 0 while unknown. */
  #frames: Pointer = 0;
  #framesMax = 0;

  constructor(engine: Engine, shim: ShimExports, layout: WalLayout) {
    this.#engine = engine;
    this.#shim = shim;
    this.#layout = layout;
  }

  /** A page on its way into the database file gets its checksum. */
  writeDatabase(page: Pointer, bytes: number, position: number): void {
    if (!isPageSize(bytes) || position % bytes !== 0) return;
    const reserved = this.#engine.bytes[page + RESERVED_AT];
    if (position === 0 && reserved !== CHECKSUM_BYTES) {
      throw new StoreError("STORE_CORRUPT", `the file reserves ${reserved} bytes a page, wanted ${CHECKSUM_BYTES} for a checksum`);
    }
    this.#shim.seal(page, bytes, position / bytes + 1, page + bytes - CHECKSUM_BYTES);
  }

  /** Parts of pages, as the file's header, are not checked: SQLite reads page 1 as a whole before it believes them. */
  readDatabase(page: Pointer, bytes: number, position: number): string | null {
    if (!isPageSize(bytes) || position % bytes !== 0 || this.#shim.check(page, bytes, position / bytes + 1, page + bytes - CHECKSUM_BYTES) === 1) return null;
    return `the checksum of page ${position / bytes + 1} does not fit`;
  }

  /** A new header: what is known of the frames is over. */
  startWal(): void {
    if (this.#frames !== 0) this.#engine.words.fill(0, this.#frames >> 2, (this.#frames >> 2) + 2 * this.#framesMax);
  }

  /** `from` is SQLite's buffer: of a page that comes in two parts, the first lies right before the second. */
  writeWal(from: Pointer, bytes: number, position: number): void {
    const { pageBytes } = this.#layout;
    if (pageBytes === 0) return;
    const frame = this.#layout.frameAt(position);
    const pageStart = this.#layout.pageStart(frame);
    if (frame < 0 || position < pageStart) return;
    const entry = this.#entry(frame);
    if (position + bytes === pageStart + pageBytes) this.#shim.seal(from + bytes - pageBytes, pageBytes, frame, entry);
    else this.#engine.words.fill(0, entry >> 2, (entry >> 2) + 2);
  }

  /** `got` is how many of the bytes the file had. */
  readWal(into: Pointer, bytes: number, position: number, got: number): string | null {
    const { pageBytes } = this.#layout;
    const frame = this.#layout.frameAt(position);
    const page = into + this.#layout.pageStart(frame) - position;
    // Either recovery reads a whole frame, or the pager a page.
    if (pageBytes === 0 || frame < 0 || page < into || page + pageBytes !== into + bytes) return null;
    const entry = this.#entry(frame);
    const isKnown = this.#engine.words[entry >> 2] !== 0 || this.#engine.words[(entry >> 2) + 1] !== 0;
    if (!isKnown) this.#shim.seal(page, pageBytes, frame, entry);
    else if (got < bytes || this.#shim.check(page, pageBytes, frame, entry) === 0) return `frame ${frame + 1} is not what was written`;
    return null;
  }

  #entry(frame: number): Pointer {
    if (frame >= this.#framesMax) {
      const framesMax = Math.max(FRAMES_INITIAL, 2 * this.#framesMax, frame + 1);
      const frames = this.#engine.sqlite.realloc(this.#frames, framesMax * CHECKSUM_BYTES);
      if (frames === 0) throw this.#engine.full();
      this.#engine.words.fill(0, (frames >> 2) + 2 * this.#framesMax, (frames >> 2) + 2 * framesMax);
      this.#frames = frames;
      this.#framesMax = framesMax;
    }
    return this.#frames + frame * CHECKSUM_BYTES;
  }
}
