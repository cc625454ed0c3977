/** Backups by HTTP: the copy as the body, and closed however the answer ends. */
import { describe, expect, test } from "bun:test";
import { ExternalError, StreamError } from "../../../../src/base/errors.ts";
import { httpApp } from "../../../../src/http/server.ts";
import type { LogCopy } from "../../../../src/log/log.ts";
import { detail, type FakeHost, fakeHost, read } from "../fake-host.ts";

const BYTES = Uint8Array.from({ length: 700_001 }, (_, at) => (at * 7 + (at >> 8)) & 255);

/** A copy that counts how often it was closed. */
class FakeCopy implements LogCopy {
  readonly bytes = BYTES.length;
  closed = 0;
  /** From where on it cannot be read. */
  readonly brokenAt: number;

  constructor(brokenAt = Infinity) {
    this.brokenAt = brokenAt;
  }

  read(into: Uint8Array, position: number): number {
    if (position >= this.brokenAt) throw new Error("the disk broke");
    const part = BYTES.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  close(): void {
    this.closed++;
  }
}

function ask(host: FakeHost, init: RequestInit = {}): Promise<Response> {
  return httpApp(host).fetch(
    new Request("http://localhost/admin/backup", { method: "POST", body: "{}", headers: { "content-type": "application/json" }, ...init }),
  );
}

describe("POST /admin/backup", () => {
  test("streams the copy, whole, as a file to keep, and closes it", async () => {
    const copy = new FakeCopy();
    const host = fakeHost({ copy: async () => copy });
    const answer = await ask(host);

    expect([answer.status, answer.headers.get("content-type"), answer.headers.get("content-disposition"), answer.headers.get("cache-control")]).toEqual([
      200,
      "application/vnd.sqlite3",
      'attachment; filename="shop-20260101T000000Z.db"',
      "no-store",
    ]);
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(BYTES);
    expect([copy.closed > 0, host.runtime.pendingTimers]).toEqual([true, 0]);
  });

  test("reads no further than it is asked to, and closes the copy when the client goes", async () => {
    const copy = new FakeCopy();
    const host = fakeHost({ copy: async () => copy });
    const reader = (await ask(host)).body!.getReader();
    await reader.read();
    expect(copy.closed).toBe(0);
    await reader.cancel();

    expect([copy.closed > 0, host.runtime.pendingTimers]).toEqual([true, 0]);
  });

  test("is broken off when nothing of it is taken for a minute: others wait for their copies", async () => {
    const copy = new FakeCopy();
    const host = fakeHost({ copy: async () => copy });
    const reader = (await ask(host)).body!.getReader();
    await reader.read();
    host.runtime.advance(59_999);
    expect(copy.closed).toBe(0);
    host.runtime.advance(1);

    expect(copy.closed).toBe(1);
    await expect((async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read());
    })()).rejects.toThrow("nobody took the copy");
  });

  test("is broken off when the copy cannot be read to its end", async () => {
    const copy = new FakeCopy(300_000);
    const answer = await ask(fakeHost({ copy: async () => copy }));

    await expect(answer.arrayBuffer()).rejects.toThrow("the disk broke");
    expect(copy.closed).toBe(1);
  });

  test("tells the copy when the client has gone before it was made", async () => {
    const abort = new AbortController();
    let signal: AbortSignal | null = null;
    const host = fakeHost({ copy: (given) => ((signal = given), Promise.reject(new ExternalError("LOG_UNAVAILABLE", "gone"))) });
    await ask(host, { signal: abort.signal });
    abort.abort();

    expect((signal as AbortSignal | null)?.aborted).toBe(true);
  });

  test("another copy is open: 503 and when to come again; a log of others: 501 and what to do; a full disk: 503, and the log hears of it", async () => {
    const host = (error: Error): FakeHost => fakeHost({ copy: () => Promise.reject(error) });
    const busy = host(new ExternalError("LOG_BUSY", "[embedded] Cannot copy: another copy is being made", { retryAfterMs: 5_000 }));
    const answer = await ask(busy);
    expect([answer.status, answer.headers.get("retry-after"), await answer.json()]).toMatchObject([503, "5", {
      code: "LOG_BUSY",
      detail: "[embedded] Cannot copy: another copy is being made.",
    }]);
    expect(busy.events).toEqual([]);

    expect(await read(ask(host(new StreamError("RUNTIME_UNSUPPORTED", "user", "Back its topics up"))))).toMatchObject([501, {
      code: "RUNTIME_UNSUPPORTED",
      detail: "Back its topics up.",
    }]);

    const full = host(new ExternalError("STORE_FULL", "no space left"));
    expect(await read(ask(full))).toMatchObject([503, { code: "STORE_FULL", detail: "no space left." }]);
    expect(full.events.map(({ type }) => type)).toEqual(["requestFailed"]);
  });

  test("is not made for a page of another site, nor with words that are not taken, nor by GET", async () => {
    let copies = 0;
    const host = fakeHost({ copy: async () => (copies++, new FakeCopy()) });

    expect((await detail(ask(host, { headers: { "content-type": "text/plain" } }))).slice(0, 3)).toBe("415");
    expect((await detail(ask(host, { body: '{"path":"/etc/passwd"}' }))).slice(0, 3)).toBe("400");
    expect((await detail(httpApp(host).fetch(new Request("http://localhost/admin/backup")))).slice(0, 3)).toBe("405");
    host.admin = { token: "secret", isLoopback: true };
    expect((await detail(ask(host))).slice(0, 3)).toBe("401");
    host.admin = { token: null, isLoopback: false };
    expect((await detail(ask(host))).slice(0, 3)).toBe("403");
    expect(copies).toBe(0);
  });
});
