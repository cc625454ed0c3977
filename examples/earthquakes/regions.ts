/** Where and how strong, in words that can be counted. */

/** The USGS writes the west coast both ways, and abbreviates some. */
const NAMES: Readonly<Record<string, string>> = { CA: "California", MX: "Mexico", "B.C., MX": "Mexico" };

/**
 * The region of a place as the USGS names it: what stands behind the last comma of "4km W of Castaic, CA", else behind the last "of" of "Gulf of Alaska", else all of it ("Reykjanes Ridge"). A
 * name, not a border: an epicentre at sea belongs to the land it is measured from.
 */
export function regionOf(place: string): string {
  const comma = place.lastIndexOf(",");
  const name = comma >= 0 ? place.slice(comma + 1).trim() : place.replace(/^.*\bof\s+(?:the\s+)?/i, "").trim();
  return NAMES[name] ?? (name === "" ? "unknown" : name);
}

/** "M2" is from 2.0 to below 3.0; what is below 0 is "M0" too: such are felt by instruments beside the fault. */
export function strengthOf(magnitude: number): string {
  return `M${Math.max(0, Math.floor(magnitude))}`;
}
