/** Files that a user names, and how large they are. */

/** The directory of a path, and the name in it. */
export function filePlace(path: string): { readonly directory: string; readonly name: string } {
  const [, directory = "", name = path] = /^(.*[/\\])?([^/\\]*)$/s.exec(path) ?? [];
  return { directory: directory === "" ? "." : directory, name };
}

const UNITS = ["bytes", "KB", "MB", "GB", "TB"] as const;

/** `104.2 MB`, in powers of 1,000. */
export function fileSize(bytes: number): string {
  let unit = 0;
  let size = bytes;
  for (; size >= 1_000 && unit < UNITS.length - 1; unit++) size /= 1_000;
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}
