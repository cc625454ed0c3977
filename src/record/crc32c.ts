/** CRC-32C (Castagnoli), the checksum of record batches, by slicing-by-8: eight table look-ups for eight bytes. */

const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256: table t advances a byte by t further zero bytes. */
const tables = makeTables();

function makeTables(): Int32Array {
  const made = new Int32Array(2_048);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    made[byte] = crc;
  }
  for (let i = 256; i < 2_048; i++) {
    const previous = made[i - 256]!;
    made[i] = (previous >>> 8) ^ made[previous & 255]!;
  }
  return made;
}

/** The checksum of `bytes` from `start` to `end`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const t = tables;
  let crc = -1;
  let at = start;
  for (const last = end - 7; at < last; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc = t[1_792 + (low & 255)]! ^ t[1_536 + ((low >>> 8) & 255)]! ^ t[1_280 + ((low >>> 16) & 255)]! ^ t[1_024 + (low >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^ t[512 + bytes[at + 5]!]! ^ t[256 + bytes[at + 6]!]! ^ t[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 255]!;
  return (crc ^ -1) >>> 0;
}
