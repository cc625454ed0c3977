/** Letters by HTTP: what is answered to what, and what is refused, in sentences. */
import { describe, expect, test } from "bun:test";
import { type HttpApp, httpApp } from "../../../../src/http/server.ts";
import { deadLetter, type DeskStand, deskStand, put, START } from "../../letter/desk-stand.ts";
import { detail, fakeHost, read } from "../fake-host.ts";

const BOX = "/admin/letters/dead/orders";

async function served(letters: number = 1): Promise<DeskStand & { readonly http: HttpApp }> {
  const stand = await deskStand();
  await put(stand.log, Array.from({ length: letters }, () => deadLetter()));
  return { ...stand, http: httpApp(fakeHost({ letters: stand.desk })) };
}

function get({ http }: { readonly http: HttpApp }, path: string): Promise<Response> {
  return http.fetch(new Request(`http://localhost${path}`));
}

function post({ http }: { readonly http: HttpApp }, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return http.fetch(new Request(`http://localhost${path}`, { method: "POST", body: text, headers: { "content-type": "application/json", ...headers } }));
}

describe("letters by HTTP", () => {
  test("are counted, listed, grouped and shown", async () => {
    const app = await served(3);

    expect(await read(get(app, "/admin/letters"))).toMatchObject([200, { sources: [{ source: "orders", kind: "dead", open: 3 }, { kind: "late", open: 0 }] }]);
    expect(await read(get(app, `${BOX}?limit=2`))).toMatchObject([200, { letters: [{ id: 0 }, { id: 1 }], next: 1 }]);
    expect(await read(get(app, `${BOX}?limit=2&after=1`))).toMatchObject([200, { letters: [{ id: 2 }], next: null }]);
    expect(await read(get(app, `${BOX}?since=2026-01-01T00:00:00Z&until=${START + 1}&state=open&step=orders-map`))).toMatchObject([200, {
      letters: [{ id: 0 }, { id: 1 }, { id: 2 }],
    }]);
    expect(await read(get(app, `${BOX}/groups`))).toMatchObject([200, { groups: [{ count: 3, error: "RangeError" }], others: 0 }]);
    expect(await read(get(app, `${BOX}/2`))).toMatchObject([200, {
      id: 2,
      kind: "dead",
      source: "orders",
      topic: "orders-dlq",
      value: { id: "a", amount: -1 },
    }]);
  });

  test("are edited, tried again and purged, in the name of whoever asks", async () => {
    const app = await served(3);
    const ann = { "x-millrace-operator": encodeURIComponent("Ännchen") };

    expect(await read(post(app, `${BOX}/edit`, { edits: [{ id: 0, value: { id: "a", amount: 1 } }] }, ann))).toEqual([200, { edited: 1 }]);
    expect(await read(post(app, `${BOX}/replay`, { select: { ids: [0] } }, ann))).toMatchObject([200, { queued: 1 }]);
    expect(await read(post(app, `${BOX}/purge`, { select: { since: START, step: "orders-map" } }))).toMatchObject([200, {
      selected: 3,
      purged: 2,
      already: 1,
    }]);
    const [, audit] = await read(get(app, "/admin/audit?limit=3"));
    expect(audit).toMatchObject({
      entries: [{ id: 3, by: "unknown", action: "purge", letter: { topic: "orders-dlq", position: 2 } }, { id: 2 }, {
        id: 1,
        by: "Ännchen",
        action: "replay",
        run: 1,
      }],
      next: 1,
    });
    expect(await read(get(app, "/admin/audit?limit=3&after=1"))).toMatchObject([200, {
      entries: [{ id: 0, by: "Ännchen", action: "edit", valueBytes: 21 }],
      next: null,
    }]);
  });

  test.each([
    ["/admin/letters?x=1", "400 The parameter x is not taken here: wanted no parameters."],
    [`${BOX}?limit=0`, "400 The parameter limit must be a whole number from 1 to 1000."],
    [`${BOX}?limit=1&limit=2`, "400 The parameter limit is not taken here: wanted each of fingerprint, step, since, until, state, after, limit once at most."],
    [`${BOX}?after=-1`, "400 The parameter after must be a whole number from 0."],
    [`${BOX}?since=yesterday`, "400 The parameter since must be milliseconds since the epoch, or a moment such as 2026-01-31T12:00:00Z."],
    [`${BOX}?state=new`, "400 The parameter state must be one of open, queued, replayed, purged."],
    [`${BOX}/groups?limit=1`, "400 The parameter limit is not taken here: wanted each of fingerprint, step, since, until, state once at most."],
    [`${BOX}/7`, '404 There is no dead letter 7 of "orders".'],
    [`${BOX}/1e0`, '404 There is no dead letter 1e0 of "orders".'],
    ["/admin/letters/dead/payments", '404 There is no source "payments" with dead letters, wanted "orders".'],
    ["/admin/letters/dead/..%2F..%2Fetc", '404 There is no source "../../etc" with dead letters, wanted "orders".'],
    ["/admin/letters/lost/orders", "404 There are no lost letters: wanted dead or late."],
    ["/admin/audit?limit=1001", "400 The parameter limit must be a whole number from 1 to 1000."],
    [`${BOX}/edit`, "405 This path takes POST."],
  ])("GET %s is answered %s", async (path, wanted) => {
    expect(await detail(get(await served(), path))).toBe(wanted);
  });

  const empty = '400 The "select" is missing: wanted an object with ids, or with fingerprint, step, since or until, or with "all": true.';
  test.each([
    ["replay", {}, empty],
    ["purge", { select: null }, empty],
    ["purge", { select: [] }, empty],
    ["replay", { select: {} }, '400 The selection is empty: give ids, or one or more of fingerprint, step, since and until, or "all": true.'],
    ["replay", { select: { all: false } }, '400 The "all" must be true where it is given.'],
    [
      "replay",
      { select: { fingerprnt: "x" } },
      '400 The selection has "fingerprnt", which is not taken here: wanted ids, all, fingerprint, step, since, until.',
    ],
    ["replay", { select: { ids: "1" } }, '400 The "ids" must be a list of whole numbers.'],
    ["replay", { select: { ids: [9] } }, '404 There is no letter 9 in "orders-dlq".'],
    ["replay", { select: { since: {} } }, "400 The parameter since must be milliseconds since the epoch, or a moment such as 2026-01-31T12:00:00Z."],
    ["replay", { select: { all: true }, dryrun: true }, '400 The body has "dryrun", which is not taken here: wanted select, dryRun, again, at.'],
    ["replay", { select: { all: true }, dryRun: "yes" }, '400 The "dryRun" must be true or false.'],
    ["replay", { select: { all: true }, at: 5 }, '400 The "at" must be "original" or "now".'],
    ["edit", { edits: [] }, '400 The "edits" must be a list of 1 to 1000 edits.'],
    ["edit", { edits: [{ value: 1 }] }, "400 Each edit must name its letter: id is a whole number from 0."],
    ["edit", { edits: [{ id: 0, valeu: 1 }] }, '400 The edit has "valeu", which is not taken here: wanted id, value, valueBase64, tombstone, force.'],
    ["edit", { edits: [{ id: 0 }] }, "400 The edit of letter 0 gives 0 values, wanted one of value, valueBase64 and tombstone."],
    ["edit", { edits: [{ id: 9, value: 1 }] }, '404 There is no letter 9 in "orders-dlq".'],
    ["edit", [], "400 The body must be a JSON object."],
    ["edit", "{", "400 The body is not valid JSON in UTF-8."],
  ])("POST %s of %j is refused with a sentence, and changes nothing", async (what, body, wanted) => {
    const app = await served();

    expect(await detail(post(app, `${BOX}/${what}`, body))).toBe(wanted);
    expect(await read(get(app, "/admin/audit"))).toEqual([200, { entries: [], next: null }]);
  });

  test("an edit that the topic would not read is refused with what is wrong with it", async () => {
    const app = await served();

    const [status, body] = await read(post(app, `${BOX}/edit`, { edits: [{ id: 0, value: { id: 1, amount: "x" } }] }));

    expect([status, body]).toMatchObject([400, { code: "SCHEMA_MISMATCH", issues: [{ path: "id" }, { path: "amount" }] }]);
  });

  test("a letter that waits to be tried again is no more edited: 409", async () => {
    const app = await served();
    await post(app, `${BOX}/replay`, { select: { ids: [0] } });

    expect(await detail(post(app, `${BOX}/edit`, { edits: [{ id: 0, value: { id: "a", amount: 1 } }] }))).toBe(
      "409 Letter 0 waits to be tried again as it is: edit it when that is done.",
    );
  });

  test("an order comes as JSON, with a name, and is not too large", async () => {
    const app = await served();
    const order = { select: { all: true } };

    expect(await detail(post(app, `${BOX}/replay`, order, { "content-type": "text/plain" }))).toBe(
      "415 The Content-Type must be application/json or end with +json, in UTF-8.",
    );
    expect(await detail(post(app, `${BOX}/replay`, { ...order, at: "x".repeat(4_194_304) }))).toBe("413 The body is larger than 4194304 bytes.");
    const named = "400 The header x-millrace-operator must be a name of at most 100 characters, without control characters.";
    expect(await detail(post(app, `${BOX}/replay`, order, { "x-millrace-operator": "a".repeat(101) }))).toBe(named);
    expect(await detail(post(app, `${BOX}/replay`, order, { "x-millrace-operator": "a%0Ab" }))).toBe(named);
    expect(await detail(post(app, `${BOX}/replay`, order, { "x-millrace-operator": "millrace" }))).toContain("how the engine itself signs");
    expect(await detail(post(app, `${BOX}/replay?all=1`, order))).toBe("400 The parameter all is not taken here: wanted no parameters.");
  });

  test("is behind the guard of the admin pages, before anything is looked at", async () => {
    const stand = await deskStand();
    const host = fakeHost({ letters: stand.desk });
    host.admin = { token: "secret", isLoopback: false };
    const http = httpApp(host);

    for (const path of ["/admin/letters", "/admin/audit", BOX, `${BOX}/groups`, `${BOX}/0`]) expect((await get({ http }, path)).status).toBe(401);
    for (const what of ["edit", "replay", "purge"]) expect((await post({ http }, `${BOX}/${what}`, {})).status).toBe(401);
  });

  test("a log that fails is 503, with when to come again", async () => {
    const app = await served();
    await app.log.close();

    const answer = await get(app, BOX);

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  });
});
