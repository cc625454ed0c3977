/** How the changelog of steps that run together is named: by the app and the topics they read, so that it is found again. */

const NAME_LENGTH_MAX = 249;

/** The name of the changelog of a sub-topology. */
export function changelogName(app: string, subTopology: string): string {
  const name = `${app}-${subTopology.replaceAll("+", "-and-")}-changelog`;
  if (name.length <= NAME_LENGTH_MAX) return name;
  const hash = hashOf(subTopology);
  return `${app}-${subTopology.replaceAll("+", "-and-").slice(0, NAME_LENGTH_MAX - app.length - hash.length - 12)}-${hash}-changelog`;
}

/** FNV-1a, 32 bits: the same everywhere and for ever. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
