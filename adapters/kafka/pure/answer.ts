/** What the package makes of an answer: its errors turned into ours, or the answer itself where it has an error for each partition. */
import { isStreamError } from "../../../src/base/errors.ts";
import type { StreamError } from "../../../src/base/errors.ts";
import { kafkaFailure, lostConnection } from "../failure.ts";
import { AuthenticationError, ResponseError } from "./platformatic.ts";

/** The answer, also where it tells of errors: for whoever looks at the codes in it, partition by partition. */
export async function withCodes<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ResponseError) return error["response"] as T;
    throw error;
  }
}

/** The error behind a request that failed: of the first code that a broker gave, else a lost connection. */
export function answerFailure(what: string, error: unknown): StreamError {
  if (isStreamError(error)) return error;
  if (error instanceof ResponseError) {
    const first: unknown = error.errors[0];
    return kafkaFailure((first as { readonly apiCode?: number } | undefined)?.apiCode ?? -1, what, error);
  }
  return lostConnection(what, reasonOf(error));
}

/** Whether a login was refused. */
export function isAuthenticationError(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof AuthenticationError) return true;
  return false;
}

/** The error that began it: the package wraps those of sockets, whose own may have a code and no text. */
export function reasonOf(error: unknown): unknown {
  let reason = error;
  for (let at = error; at instanceof Error; at = at.cause) if (at.message !== "") reason = at;
  return reason;
}
