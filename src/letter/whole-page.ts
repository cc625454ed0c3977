/** Whole letters page by page, for whoever looks at many: one by one, each would go through the audit again. */
import type { RecordCursor } from "../record/cursor.ts";
import type { TopicDefinition } from "../topology/node.ts";
import { type Letter, type LetterBoxName, readLetter } from "./letter.ts";
import { eachLetter, editsAt, type LetterHost } from "./letter-box.ts";
import type { LetterStatus } from "./letter-status.ts";
import { type LetterView, viewOf } from "./letter-view.ts";

/** What a page holds. */
export interface WholePageQuery {
  /** From this position on. */
  readonly start: number;
  readonly limit: number;
  readonly isShown: (cursor: RecordCursor, status: LetterStatus) => boolean;
  /** Where a letter comes from. */
  readonly topicOf: (letter: Letter) => TopicDefinition | undefined;
}

/** Of a page, as they lie in the log; one letter may be more. */
const PAGE_BYTES_MAX = 1_048_576;

/** A page of letters, all but their history, the oldest first; `next`: as in a list. */
export async function wholePage(
  host: LetterHost,
  box: LetterBoxName,
  { start, limit, isShown, topicOf }: WholePageQuery,
): Promise<{ readonly letters: readonly LetterView[]; readonly next: number | null }> {
  const found: { readonly letter: Letter; readonly status: LetterStatus }[] = [];
  let bytes = 0;
  let hasMore = false;
  await eachLetter(host, box, start, (cursor, status) => {
    if (!isShown(cursor, status)) return;
    hasMore = found.length === limit || bytes >= PAGE_BYTES_MAX;
    if (hasMore) return false;
    const letter = readLetter(box, cursor);
    bytes += letter.value?.length ?? 0;
    found.push({ letter, status });
  });
  const edits = await editsAt(host, found.flatMap(({ status: { editedAt } }) => editedAt === null ? [] : [editedAt]));
  const letters: LetterView[] = [];
  for (const { letter, status } of found) {
    letters.push(await viewOf(letter, status, status.editedAt === null ? undefined : edits.get(status.editedAt), [], topicOf(letter)));
  }
  return { letters, next: hasMore ? letters.at(-1)!.id : null };
}
