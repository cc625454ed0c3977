/** What a file exports, read off its text. */

/** `value name` or `type Name` for each export, sorted. Throws for exports that do not say their names. */
export function exportsOf(text: string): readonly string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const names: string[] = [];
  for (const match of code.matchAll(/^\s*export\s+([\s\S]*?[{(;=<]|\*|default\b)/gm)) {
    const [whole, rest = ""] = match;
    const list = /^(type\s+)?\{$/.exec(rest);
    const one = /^(?:declare\s+|abstract\s+|async\s+)*(const|let|function\*?|class|interface|type)\s+(\w+)/.exec(rest);
    if (list !== null) {
      const inside = code.slice(match.index + whole.length);
      names.push(...listed(inside.slice(0, inside.indexOf("}")), list[1] !== undefined));
    } else if (one !== null) names.push(`${one[1] === "interface" || one[1] === "type" ? "type" : "value"} ${one[2]}`);
    else throw new Error(`Cannot list the names of "${whole.trim()}": write them out`);
  }
  return names.sort();
}

function listed(inside: string, isType: boolean): readonly string[] {
  const parts = inside.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.map((part) => {
    const name = part.replace(/^type\s+/, "").replace(/^\w+\s+as\s+/, "");
    return `${isType || part.startsWith("type ") ? "type" : "value"} ${name}`;
  });
}
