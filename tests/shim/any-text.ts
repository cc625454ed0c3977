/**
 * Any text without lone surrogates, for property tests: ASCII with control characters, Latin, beyond, and characters of two units. fast-check's own "binary" unit keeps a table of all of
 * Unicode, which makes every later test of the process slower.
 */
import fc from "fast-check";

const character = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 0x7f }) },
  { weight: 2, arbitrary: fc.integer({ min: 0x80, max: 0x7ff }) },
  { weight: 2, arbitrary: fc.integer({ min: 0x800, max: 0xd7ff }) },
  { weight: 1, arbitrary: fc.integer({ min: 0xe000, max: 0xffff }) },
  { weight: 2, arbitrary: fc.integer({ min: 0x1_0000, max: 0x10_ffff }) },
).map((code) => String.fromCodePoint(code));

/** Text of at most `maxLength` characters. */
export function anyText(maxLength: number = 10): fc.Arbitrary<string> {
  return fc.string({ unit: character, maxLength });
}
