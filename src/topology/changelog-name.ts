/** How the changelog of steps that run together is named: by the app and the topics they read, so that it is found again. */

const NAME_LENGTH_MAX = 249;

/** The name of the changelog of a sub-topology. */
export function changelogName(app: string, subTopology: string): string {
  const name = `${app}-${subTopology.replaceAll("+", "-and-")}-changelog`;
  if (name.length <= NAME_LENGTH_MAX) return name;
  const hash = hashOf(subTopology);
  return `${app}-${subTopology.replaceAll("+", "-and-").slice(0, NAME_LENGTH_MAX - app.length - hash.length - 12)}-${hash}-changelog`;
}

/** Of so many topics all combinations are looked at, of more only those of two. */
const COMBINED_MAX = 10;

/** The names of changelogs that steps which read one of `reads` may have had while the app was parted otherwise. `topics` are all that it reads. */
export function formerChangelogNames(app: string, reads: readonly string[], topics: readonly string[]): string[] {
  const sorted = [...new Set(topics)].sort();
  const most = sorted.length <= COMBINED_MAX ? sorted.length : 2;
  const names: string[] = [];
  const add = (from: number, chosen: readonly string[]): void => {
    if (chosen.some((topic) => reads.includes(topic))) names.push(changelogName(app, chosen.join("+")));
    if (chosen.length === most) return;
    for (let index = from; index < sorted.length; index++) add(index + 1, [...chosen, sorted[index]!]);
  };
  add(0, []);
  return names;
}

/** FNV-1a, 32 bits: the same everywhere and for ever. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
