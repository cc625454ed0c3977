/** The pages of the letters of one source, as commands ask for them. */
import type { LetterView } from "../../letter/letter-view.ts";
import type { AdminClient, Query } from "../admin-client.ts";
import type { GroupsAnswer, LettersAnswer, WholeLettersAnswer } from "./letter-answers.ts";
import type { LetterWord } from "./letter-flags.ts";

/** As many as a page gives at once. */
export const PAGE_MAX = 1_000;

/** Letters of one kind of one source. */
export class LetterPages {
  readonly #client: AdminClient;
  readonly #path: string;

  constructor(client: AdminClient, { kind }: LetterWord, source: string) {
    this.#client = client;
    this.#path = `/admin/letters/${kind}/${encodeURIComponent(source)}`;
  }

  /** A page of them, the oldest first. */
  list(query: Query): Promise<LettersAnswer> {
    return this.#client.get(this.#path, query);
  }

  /** What failed how. */
  groups(query: Query): Promise<GroupsAnswer> {
    return this.#client.get(`${this.#path}/groups`, query);
  }

  /** All of one. */
  letter(id: number): Promise<LetterView> {
    return this.#client.get(`${this.#path}/${id}`);
  }

  /** Has something done. */
  post<Answer>(action: "edit" | "replay" | "purge", body: unknown): Promise<Answer> {
    return this.#client.post(`${this.#path}/${action}`, body);
  }

  /** Every letter that a query gives, all of it but its history, page by page. */
  async *whole(query: Query): AsyncGenerator<readonly LetterView[]> {
    for (let after: number | undefined;;) {
      const { letters, next }: WholeLettersAnswer = await this.#client.get(`${this.#path}/whole`, { ...query, after, limit: PAGE_MAX });
      yield letters;
      if (next === null) return;
      after = next;
    }
  }

  /** Every letter that a query gives, in short, page by page. */
  async *each(query: Query): AsyncGenerator<LettersAnswer["letters"][number]> {
    for (let after: number | undefined = query["after"] as number | undefined;;) {
      const { letters, next }: LettersAnswer = await this.list({ ...query, after, limit: PAGE_MAX });
      yield* letters;
      if (next === null) return;
      after = next;
    }
  }

  /** The id of the newest letter that is not purged; -1: there is none. */
  async newest(): Promise<number> {
    const { groups } = await this.groups({});
    return Math.max(-1, ...groups.map(({ example }) => example));
  }
}
