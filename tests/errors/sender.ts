/** Sends a share of the records by webhook, as senders do: what got no answer is sent again under the same id, and now and then what was taken long ago is sent once more. */
import type { Plan } from "./plan.ts";

/** Makes a request to the app; rejects when nobody answers. */
export type Post = (request: Request) => Promise<Response>;

/** Where webhooks come in. */
export const HOOK = "/hooks/nothing";

const SENDERS = 8;
const BUSY_PAUSE_MS = 50;
/** Of so many, one that was taken is sent once more. */
const AGAIN_ONE_IN = 20;

/** The records that are to be sent, and what came of it. */
export class Sender {
  readonly #plan: Plan;
  readonly #waiting: number[] = [];
  #taken = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Records that nobody has taken yet. */
  get left(): number {
    return this.#waiting.length;
  }

  /** Times that an answer said a record was taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Those from `from` until `to` are to be sent from now on. */
  add(from: number, to: number): void {
    for (let n = from; n < to; n++) if (this.#plan.isSent(n)) this.#waiting.push(n);
  }

  /** Sends until nothing is left or `over` fulfils; what is under way then is left. */
  async send(post: Post, over: Promise<unknown>): Promise<void> {
    let isOver = false;
    const ended = over.then(() => {
      isOver = true;
      return null;
    });
    const one = async (): Promise<void> => {
      while (!isOver && this.#waiting.length > 0) {
        const n = this.#waiting.shift()!;
        // Whoever is killed answers nothing.
        const answer = await Promise.race([post(this.#request(n)).catch(() => null), ended]);
        if (answer?.status === 202) {
          this.#taken++;
          if (n % AGAIN_ONE_IN === 2) await Promise.race([post(this.#request(n)).catch(() => null), ended]);
          continue;
        }
        this.#waiting.push(n);
        if (answer !== null && answer.status !== 503) throw new Error(`Record ${n} was answered ${answer.status}: ${await answer.text()}`);
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS))]);
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, one));
  }

  #request(n: number): Request {
    const body = this.#plan.bytes(this.#plan.record(n));
    return new Request(`http://localhost${HOOK}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-id": `record-${n}`, n: String(n) },
      body,
    });
  }
}

/** Requests to a server. */
export function postTo(url: string): Post {
  return (request) => fetch(new Request(`${url}${HOOK}`, request));
}

/** The address in the line that an app prints when it stands; null when there is none. */
export function addressIn(line: string | null): string | null {
  return /http:\/\/[^;\s]+/.exec(line ?? "")?.[0] ?? null;
}
