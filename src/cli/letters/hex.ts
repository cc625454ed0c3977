/** Bytes for people. */
const ROW_BYTES = 16;
/** More of them nobody reads; `--json` has them all. */
const BYTES_MAX = 4_096;

/** Lines of offset, hexadecimal digits and what of it is plain ASCII. */
export function hexLines(bytes: Uint8Array): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, BYTES_MAX); at += ROW_BYTES) {
    const row = [...bytes.subarray(at, at + ROW_BYTES)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const plain = row.map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`  ${at.toString(16).padStart(8, "0")}  ${digits.padEnd(3 * ROW_BYTES - 1)}  ${plain}`);
  }
  if (bytes.length > BYTES_MAX) lines.push(`  … and ${bytes.length - BYTES_MAX} bytes more: --json has them all`);
  return lines.length === 0 ? ["  (no bytes)"] : lines;
}
