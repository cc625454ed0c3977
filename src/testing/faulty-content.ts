/**
 * The bytes of one file on a simulated device: what the system would read (volatile), what is on the platters (durable), and which sectors differ.
 *
 * At a loss of power each sector that differs is, on its own, kept, lost or turned into garbage. Garbage takes the whole sector, bytes synced earlier included: devices that tear a
 * sector do just that, so whoever writes behind synced bytes has to begin a sector of its own.
 */
import type { Random } from "../base/random.ts";

const BYTES_INITIAL = 4_096;

/** How a sector that was not synced fares when power is lost; the weights are relative. */
export interface SectorFates {
  readonly kept: number;
  readonly lost: number;
  readonly garbage: number;
}

/** What a flush under way will make durable. */
export interface FlushImage {
  /** Images of a file in the order they were taken. */
  readonly number: number;
  readonly size: number;
  readonly sectors: ReadonlyMap<number, { readonly version: number; readonly bytes: Uint8Array }>;
}

/** The bytes of one file. */
export class FaultyContent {
  readonly #sectorBytes: number;
  #bytes: Uint8Array = new Uint8Array(BYTES_INITIAL);
  #size = 0;
  #durable: Uint8Array = new Uint8Array(0);
  #durableSize = 0;
  /** Sectors written since they were made durable, with the number of their last write. */
  readonly #dirty = new Map<number, number>();
  /** Sectors that a failed sync has dropped: no later sync makes them durable. */
  readonly #dropped = new Set<number>();
  #version = 0;
  #images = 0;
  /** The last image that the device holds. */
  #durableImage = 0;

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  /** A file whose bytes are all durable. */
  static of(bytes: Uint8Array, sectorBytes: number): FaultyContent {
    const content = new FaultyContent(sectorBytes);
    content.write(bytes, 0);
    content.sync();
    return content;
  }

  get size(): number {
    return this.#size;
  }

  /** A copy of what the system would read. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - position));
    if (count > 0) into.set(this.#bytes.subarray(position, position + count));
    return count;
  }

  write(from: Uint8Array, position: number): void {
    const start = Math.min(position, this.#size);
    this.#resize(Math.max(this.#size, position + from.length));
    this.#bytes.set(from, position);
    this.#touch(start, position + from.length);
  }

  truncate(size: number): void {
    const before = this.#size;
    this.#resize(size);
    this.#touch(Math.min(before, size), Math.max(before, size));
  }

  /** Makes everything durable that no failed sync has dropped. */
  sync(): void {
    this.endFlush(this.beginFlush());
  }

  /** A sync that failed: the system takes the sectors for clean. */
  dropDirty(): void {
    for (const sector of this.#dirty.keys()) this.#dropped.add(sector);
    this.#dirty.clear();
  }

  /** What is written by now. */
  beginFlush(): FlushImage {
    const sectors = new Map<number, { version: number; bytes: Uint8Array }>();
    for (const [sector, version] of this.#dirty) {
      sectors.set(sector, { version, bytes: this.#bytes.slice(sector * this.#sectorBytes, (sector + 1) * this.#sectorBytes) });
    }
    return { number: ++this.#images, size: this.#size, sectors };
  }

  endFlush(image: FlushImage): void {
    // A sync that began later has made durable all this one would, in its newer state.
    if (image.number < this.#durableImage) return;
    this.#durableImage = image.number;
    let end = Math.max(image.size, this.#durableSize);
    for (const [sector, { bytes }] of image.sectors) end = Math.max(end, sector * this.#sectorBytes + bytes.length);
    if (end > this.#durable.length) this.#durable = resized(this.#durable, Math.max(end, 2 * this.#durable.length));
    for (const [sector, { version, bytes }] of image.sectors) {
      this.#durable.set(bytes, sector * this.#sectorBytes);
      if (this.#dirty.get(sector) === version) this.#dirty.delete(sector);
    }
    this.#durableSize = image.size;
  }

  /** What the device holds after power was lost now. */
  afterPowerLoss(random: Random, fates: SectorFates): FaultyContent {
    const low = Math.min(this.#size, this.#durableSize), high = Math.max(this.#size, this.#durableSize);
    const size = low === high ? low : random.pick([low, high, random.between(low, high)]);
    const after = new Uint8Array(size);
    after.set(this.#durable.subarray(0, Math.min(size, this.#durableSize)));
    for (const sector of [...this.#dirty.keys(), ...this.#dropped].sort((left, right) => left - right)) {
      const start = sector * this.#sectorBytes;
      const end = Math.min(size, start + this.#sectorBytes);
      const fate = random.float() * (fates.kept + fates.lost + fates.garbage);
      if (start >= end || fate < fates.lost) continue;
      if (fate < fates.lost + fates.garbage) random.fill(after.subarray(start, end));
      else after.set(this.#bytes.subarray(start, end), start);
    }
    return FaultyContent.of(after, this.#sectorBytes);
  }

  /** Changes bytes on the platters and in memory alike. */
  damage(position: number, change: (byte: number) => number): void {
    for (const bytes of [this.#bytes, this.#durable]) if (position < bytes.length) bytes[position] = change(bytes[position]!);
  }

  #touch(start: number, end: number): void {
    this.#version++;
    for (let sector = Math.floor(start / this.#sectorBytes); sector * this.#sectorBytes < end; sector++) {
      this.#dirty.set(sector, this.#version);
      this.#dropped.delete(sector);
    }
  }

  /** Bytes beyond the size are always zero. */
  #resize(size: number): void {
    if (size > this.#bytes.length) this.#bytes = resized(this.#bytes, Math.max(size, 2 * this.#bytes.length));
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (length <= bytes.length) return bytes;
  const grown = new Uint8Array(length);
  grown.set(bytes);
  return grown;
}
