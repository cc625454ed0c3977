/**
 * Record headers as the Web's `Headers`, and back.
 *
 * The two do not fit wholly: record headers have any name and any bytes, `Headers` has tokens and Latin-1 text. What does not fit is percent-encoded
 * (values) or left out (names); who needs the bytes reads the record's own headers. Making a `Headers` costs some microseconds: do it when someone asks.
 */
import type { HeaderField, Payload } from "./record.ts";
import { readUtf8 } from "./utf8.ts";

/** An HTTP token: what `Headers` takes as a name. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What `Headers` refuses in a value, or takes off its ends. */
const UNFIT = /[\0\r\n]|[^\0-\xff]|^[\t ]|[\t ]$/u;

/**
 * Headers of a record for the user: names in lower case, values as text (UTF-8; bytes that are not, one character a byte), null as empty. Repeated names
 * are joined by `, ` as everywhere on the Web. A value with characters that HTTP refuses (beyond Latin-1, line ends, white space at an end) is
 * percent-encoded; a name that is no HTTP token is left out.
 */
export function toHeaders(fields: readonly HeaderField[]): Headers {
  const headers = new Headers();
  for (const { name, value } of fields) if (TOKEN.test(name)) headers.append(name, fitting(headerText(value)));
  return headers;
}

/** The user's headers as record headers, values as UTF-8 text; names as they are written, which a `Headers` has made lower case. */
export function fromHeaders(init: HeadersInit): HeaderField[] {
  const pairs: Iterable<readonly string[]> = Symbol.iterator in init ? init as Iterable<readonly string[]> : Object.entries(init);
  return Array.from(pairs, ([name = "", value = ""]) => ({ name, value }));
}

/** The text of a header's value; bytes that are not UTF-8 become one character each, null is empty. */
export function headerText(value: Payload | null): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  try {
    return readUtf8(value, 0, value.length);
  } catch {
    return Array.from(value, (byte) => String.fromCharCode(byte)).join("");
  }
}

function fitting(text: string): string {
  return UNFIT.test(text) ? encodeURIComponent(text.toWellFormed()) : text;
}
