/** What tests ask of an error. */
import { isStreamError } from "../../../src/base/errors.ts";

/** The code of an error of ours; else its text. */
export function codeOf(error: unknown): string {
  return isStreamError(error) ? error.code : String(error);
}

/** What a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return new Error("The promise fulfilled");
}
