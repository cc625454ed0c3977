/** An operator at the admin pages of an app under test. */
import type { TestApp } from "../../../src/testing/testing.ts";

/** JSON of an answer, and its status. */
export type Answer = readonly [status: number, body: Readonly<Record<string, unknown>>];

/** What letters lists and groups say, as far as tests look at it. */
export type Row = Readonly<Record<string, unknown>>;

/** Asks as anyone does: by requests. */
export class Operator {
  readonly #test: Pick<TestApp, "fetch">;
  readonly #name: string;

  constructor(test: Pick<TestApp, "fetch">, name: string = "ann") {
    this.#test = test;
    this.#name = name;
  }

  /** Reads a page below `/admin`. */
  async get(path: string): Promise<Answer> {
    return await answerOf(this.#test.fetch(new Request(`http://localhost/admin${path}`)));
  }

  /** Orders something. */
  async post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const all = { "content-type": "application/json", "x-millrace-operator": this.#name, ...headers };
    return await answerOf(this.#test.fetch(new Request(`http://localhost/admin${path}`, { method: "POST", body: JSON.stringify(body), headers: all })));
  }

  /** The rows of a list. */
  async rows(path: string, name: string = "letters"): Promise<readonly Row[]> {
    const [status, body] = await this.get(path);
    if (status !== 200) throw new Error(`${path} was answered ${status}: ${JSON.stringify(body)}`);
    return body[name] as readonly Row[];
  }
}

async function answerOf(response: Promise<Response>): Promise<Answer> {
  const { status } = await response;
  return [status, (await (await response).json()) as Record<string, unknown>];
}
