/**
 * Splits TypeScript into what is code and what is not, without a parser: comments, text and regular expressions become blanks of the same length, so that positions and lines stay.
 */

/** A source file in two lengths-preserving views. */
export interface SourceText {
  /** Code alone: comments, contents of texts and regular expressions are blank; quotes stay. */
  readonly code: string;
  /** As written. */
  readonly text: string;
}

/** After one of these a slash begins a regular expression, not a division. */
const BEFORE_EXPRESSION = /(?:^|[([{,;:=!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield))\s*$/;

/** Blanks everything but code. */
export function sourceText(text: string): SourceText {
  const out: string[] = [];
  let position = 0;
  /** For each open template expression, how many braces are open in it. */
  const templates: number[] = [];

  const blank = (end: number): void => {
    out.push(text.slice(position, end).replace(/[^\n]/g, " "));
    position = end;
  };
  const keep = (): void => {
    out.push(text[position] ?? "");
    position++;
  };
  const template = (): void => {
    const start = position;
    for (let end = start; ; end++) {
      if (end >= text.length) return blank(end);
      if (text[end] === "\\") end++;
      else if (text[end] === "`") {
        blank(end);
        return keep();
      } else if (text[end] === "$" && text[end + 1] === "{") {
        blank(end);
        keep();
        keep();
        templates.push(0);
        return;
      }
    }
  };

  while (position < text.length) {
    const here = text[position];
    const next = text[position + 1];
    if (here === "/" && next === "/") blank(endOf(text.indexOf("\n", position), text));
    else if (here === "/" && next === "*") blank(endOf(text.indexOf("*/", position + 2), text, 2));
    else if (here === '"' || here === "'") {
      const end = endOfQuoted(text, position, here);
      keep();
      blank(end);
      keep();
    } else if (here === "`") {
      keep();
      template();
    } else if (here === "/" && BEFORE_EXPRESSION.test(out.slice(-40).join("").slice(-40))) blank(endOfExpression(text, position));
    else if (here === "{" && templates.length > 0) {
      templates[templates.length - 1] = (templates.at(-1) ?? 0) + 1;
      keep();
    } else if (here === "}" && templates.length > 0) {
      const open = templates.at(-1) ?? 0;
      keep();
      if (open > 0) templates[templates.length - 1] = open - 1;
      else {
        templates.pop();
        template();
      }
    } else keep();
  }
  return { code: out.join(""), text };
}

function endOf(found: number, text: string, length = 0): number {
  return found === -1 ? text.length : found + length;
}

function endOfQuoted(text: string, start: number, quote: string): number {
  for (let end = start + 1; end < text.length; end++) {
    if (text[end] === "\\") end++;
    else if (text[end] === quote || text[end] === "\n") return end;
  }
  return text.length;
}

function endOfExpression(text: string, start: number): number {
  let isInClass = false;
  for (let end = start + 1; end < text.length; end++) {
    if (text[end] === "\\") end++;
    else if (text[end] === "\n") return end;
    else if (text[end] === "[") isInClass = true;
    else if (text[end] === "]") isInClass = false;
    else if (text[end] === "/" && !isInClass) return end + 1 + (/^[a-z]*/.exec(text.slice(end + 1, end + 9))?.[0].length ?? 0);
  }
  return text.length;
}

/** The line of a position, from 1. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
