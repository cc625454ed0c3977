/** Writes a whole file of a disk so that it survives loss of power, without holding the thread and without heaping up what the device must write. */
import type { Disk } from "../runtime/disk.ts";

/** More that is written and not yet flushed would make the flushes of others wait. */
export const FLUSH_EVERY_BYTES: number = 8 * 1024 * 1024;

const CHUNK_BYTES = 262_144;

/** Makes `path` anew from the chunks; how many bytes they were. When it rejects nothing is left of it. */
export async function writeDurably(disk: Disk, path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  disk.delete(path);
  const file = disk.open(path);
  let bytes = 0;
  try {
    let unflushed = 0;
    for await (const chunk of chunks) {
      file.write(chunk, bytes);
      bytes += chunk.length;
      unflushed += chunk.length;
      if (unflushed < FLUSH_EVERY_BYTES) continue;
      await file.flush();
      unflushed = 0;
    }
    await file.flush();
  } catch (error) {
    file.close();
    removeQuietly(disk, path);
    throw error;
  }
  file.close();
  return bytes;
}

/** Removes what is of no use any more; a disk that refuses even that has been complained of already. */
export function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.delete(path);
  } catch {
    // Whoever makes the file next begins by deleting it.
  }
}

/** The bytes of a file, piece by piece; the thread is free in between. */
export async function* chunksOf(disk: Disk, path: string, yieldThread: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const file = disk.open(path, { create: false, readOnly: true });
  try {
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (let position = 0, got = file.read(buffer, 0); got > 0; position += got, got = file.read(buffer, position)) {
      yield buffer.subarray(0, got);
      await yieldThread();
    }
  } finally {
    file.close();
  }
}
