/** Puts a schema around a codec: what is read and what is written fits it. */
import { isThenable } from "../base/awaitable.ts";
import { type Codec, codec } from "./codec.ts";
import { check, type Schema } from "./schema.ts";

/**
 * The codec, with each value checked: on reading, the schema's output is given; on writing, the value must fit the schema's input and is written as it is,
 * for reading transforms it again. A schema that answers with a promise makes `decode` return a promise; on writing such an answer cannot be waited for, so
 * the value is checked when it is read.
 */
export function checkedCodec<V, Input>(raw: Codec<unknown, unknown>, schema: Schema<V, Input>): Codec<V, Input> {
  const { name, encode, decode } = raw["~codec"];
  return codec<V, Input>({
    name,
    encode: (value) => {
      const answer = check(schema, value);
      if (isThenable(answer)) answer.then(undefined, () => undefined);
      return encode(value);
    },
    // Whoever decodes awaits thenables; the type of a codec has no room for the few schemas that make one.
    decode: (bytes) => check(schema, decode(bytes)) as V,
  });
}
