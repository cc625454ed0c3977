/** Where the frames of a WAL lie: a header of 32 bytes, then frames of a header of 24 bytes and a page. */
import type { Engine, Pointer } from "./engine.ts";

const HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24, PAGE_BYTES_MIN = 512;

/** What a WAL's header says about its frames. */
export class WalLayout {
  /** 0 while no header was seen. */
  pageBytes = 0;

  /** Looks at bytes that are written to, or were read from, the start of the file; true when they were a header. */
  learn(engine: Engine, at: Pointer, bytes: number, position: number): boolean {
    if (position !== 0 || bytes < HEADER_BYTES) return false;
    const memory = engine.bytes;
    const pageBytes = (memory[at + 8]! << 24) | (memory[at + 9]! << 16) | (memory[at + 10]! << 8) | memory[at + 11]!;
    this.pageBytes = isPageSize(pageBytes) ? pageBytes : 0;
    return true;
  }

  /** The frame that holds a byte, from 0 on; negative in the header. */
  frameAt(position: number): number {
    return Math.floor((position - HEADER_BYTES) / (FRAME_HEADER_BYTES + this.pageBytes));
  }

  /** Where the page of a frame begins. */
  pageStart(frame: number): number {
    return HEADER_BYTES + frame * (FRAME_HEADER_BYTES + this.pageBytes) + FRAME_HEADER_BYTES;
  }

  /** Whether a frame, or the header, ends right before a byte. */
  endsAt(position: number): boolean {
    return (position - HEADER_BYTES) % (FRAME_HEADER_BYTES + this.pageBytes) === 0;
  }
}

/** Whether SQLite has pages of so many bytes. */
export function isPageSize(bytes: number): boolean {
  return bytes >= PAGE_BYTES_MIN && (bytes & (bytes - 1)) === 0;
}
