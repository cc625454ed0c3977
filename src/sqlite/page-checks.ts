/**
 * Checksums of pages. In the database file they lie in the last 8 bytes of each page, which SQLite keeps free (its "reserved bytes"); in the WAL, whose frames have checksums of
 * SQLite's that only recovery looks at, they are kept in memory for as long as the file is open: learnt when a frame is written, or when recovery reads it.
 */
import type { Engine, Pointer, ShimExports } from "./engine.ts";

/** Reserved bytes at the end of each page. */
export const CHECKSUM_BYTES = 8;
const PAGE_BYTES_MIN = 512;
const WAL_HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24;
/** Frames that the first table holds. */
const FRAMES_INITIAL = 1_024;

/** The checksums of one database. Its methods answer with the damage, in words, or null. */
export class PageChecks {
  readonly #engine: Engine;
  readonly #shim: ShimExports;
  /** 8 bytes a frame, 0 while unknown. */
  #frames: Pointer = 0;
  #framesMax = 0;
  /** The WAL's, 0 while unknown. */
  #pageBytes = 0;

  constructor(engine: Engine, shim: ShimExports) {
    this.#engine = engine;
    this.#shim = shim;
  }

  /** A page on its way into the database file gets its checksum. */
  writeDatabase(page: Pointer, bytes: number, position: number): void {
    if (isPage(bytes, position)) this.#shim.seal(page, bytes, position / bytes + 1, page + bytes - CHECKSUM_BYTES);
  }

  /** Parts of pages, as the file's header, are not checked: SQLite reads page 1 as a whole before it believes them. */
  readDatabase(page: Pointer, bytes: number, position: number): string | null {
    if (!isPage(bytes, position) || this.#shim.check(page, bytes, position / bytes + 1, page + bytes - CHECKSUM_BYTES) === 1) return null;
    return `the checksum of page ${position / bytes + 1} does not fit`;
  }

  /** `from` is SQLite's buffer: of a frame that comes in two parts, the first part lies right before the second. */
  writeWal(from: Pointer, bytes: number, position: number): void {
    if (position === 0) return this.#readHeader(from, bytes, true);
    if (this.#pageBytes === 0) return;
    const frameBytes = FRAME_HEADER_BYTES + this.#pageBytes;
    const frame = Math.floor((position - WAL_HEADER_BYTES) / frameBytes);
    const start = position - WAL_HEADER_BYTES - frame * frameBytes;
    if (start < FRAME_HEADER_BYTES) return;
    const entry = this.#entry(frame);
    if (start + bytes === frameBytes) this.#shim.seal(from + bytes - this.#pageBytes, this.#pageBytes, frame, entry);
    else this.#engine.words.fill(0, entry >> 2, (entry >> 2) + 2);
  }

  /** `got` is how many of the bytes the file had. */
  readWal(into: Pointer, bytes: number, position: number, got: number): string | null {
    if (position === 0) this.#readHeader(into, got, false);
    if (position === 0 || this.#pageBytes === 0) return null;
    const frameBytes = FRAME_HEADER_BYTES + this.#pageBytes;
    const frame = Math.floor((position - WAL_HEADER_BYTES) / frameBytes);
    const start = position - WAL_HEADER_BYTES - frame * frameBytes;
    const page = into + FRAME_HEADER_BYTES - start;
    // Either recovery reads a whole frame, or the pager a page.
    if (start + bytes !== frameBytes || page < into || page + this.#pageBytes !== into + bytes) return null;
    const entry = this.#entry(frame);
    const isKnown = this.#engine.words[entry >> 2] !== 0 || this.#engine.words[(entry >> 2) + 1] !== 0;
    if (!isKnown) this.#shim.seal(page, this.#pageBytes, frame, entry);
    else if (got < bytes || this.#shim.check(page, this.#pageBytes, frame, entry) === 0) return `frame ${frame + 1} is not what was written`;
    return null;
  }

  #readHeader(at: Pointer, bytes: number, isNew: boolean): void {
    if (bytes < WAL_HEADER_BYTES) return;
    const memory = this.#engine.bytes;
    this.#pageBytes = (memory[at + 8]! << 24) | (memory[at + 9]! << 16) | (memory[at + 10]! << 8) | memory[at + 11]!;
    if (!isPage(this.#pageBytes, 0)) this.#pageBytes = 0;
    if (isNew && this.#frames !== 0) this.#engine.words.fill(0, this.#frames >> 2, (this.#frames >> 2) + 2 * this.#framesMax);
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

function isPage(bytes: number, position: number): boolean {
  return bytes >= PAGE_BYTES_MIN && (bytes & (bytes - 1)) === 0 && position % bytes === 0;
}
