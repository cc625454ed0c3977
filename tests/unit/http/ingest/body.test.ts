import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { concatBytes, toBytes } from "../../../../src/base/bytes.ts";
import { Admission } from "../../../../src/http/admission.ts";
import { checkHead, readBody } from "../../../../src/http/ingest/body.ts";
import { Refusal } from "../../../../src/http/problem.ts";
import { post, stillRuntime } from "../fake-host.ts";

const BYTES_MAX = 1_000;

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  let next = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (next === chunks.length) controller.close();
      else controller.enqueue(chunks[next++] as Uint8Array<ArrayBuffer>);
    },
  });
}

async function gzipped(bytes: Uint8Array, format: "gzip" | "deflate" = "gzip"): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(streamOf([bytes]).pipeThrough(new CompressionStream(format))).arrayBuffer());
}

async function bodyOf(request: Request, admission: Admission = new Admission()): Promise<Uint8Array> {
  return await readBody(request, { runtime: stillRuntime(), bytesMax: BYTES_MAX, timeoutMs: 30_000, admitted: admission.enter() });
}

/** Status and reason of the refusal that a promise rejects with. */
async function refusalOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => null, (thrown: unknown) => thrown);
  return error instanceof Refusal ? `${error.problem.status} ${error.problem.reason}` : String(error);
}

describe("readBody()", () => {
  test("joins chunks of any sizes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 11 }), async (chunks) => {
        expect([...(await bodyOf(post("/", streamOf(chunks))))]).toEqual([...concatBytes(chunks)]);
      }),
      { seed: 4_712, numRuns: 100 },
    );
  });

  test("takes as many bytes as allowed, and not one more", async () => {
    const chunk = new Uint8Array(100).fill(32);
    const ten = Array<Uint8Array>(10).fill(chunk);

    expect((await bodyOf(post("/", streamOf(ten)))).length).toBe(BYTES_MAX);
    expect(await refusalOf(bodyOf(post("/", streamOf([...ten, new Uint8Array(1)]))))).toBe("413 body_too_large");
  });

  test("stops reading an endless body at the limit", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: (controller) => (pulled++, controller.enqueue(new Uint8Array(100))) }, { highWaterMark: 0 });

    expect(await refusalOf(bodyOf(post("/", endless)))).toBe("413 body_too_large");
    expect(pulled).toBeLessThan(20);
  });

  test.each(["gzip", "deflate"] as const)("undoes %s", async (format) => {
    const body = await bodyOf(post("/", await gzipped(toBytes('{"a":1}'), format), { "content-encoding": format }));

    expect(new TextDecoder().decode(body)).toBe('{"a":1}');
  });

  test("cuts a bomb at the limit, and gives its memory back", async () => {
    const admission = new Admission();
    const admitted = admission.enter();
    const bomb = await gzipped(new Uint8Array(900_000));
    expect(bomb.length).toBeLessThan(BYTES_MAX);

    const reading = readBody(post("/", bomb, { "content-encoding": "gzip" }), { runtime: stillRuntime(), bytesMax: BYTES_MAX, timeoutMs: 1, admitted });

    expect(await refusalOf(reading)).toBe("413 body_too_large");
    admitted.release();
    expect(admission.bytes).toBe(0);
  });

  test("counts the bytes that came out, not those that came in", async () => {
    const admission = new Admission();

    const body = await bodyOf(post("/", await gzipped(new Uint8Array(900)), { "content-encoding": "gzip" }), admission);

    expect([body.length, admission.bytes]).toEqual([900, 900]);
  });

  test("refuses bytes that do not fit their coding", async () => {
    expect(await refusalOf(bodyOf(post("/", "no gzip", { "content-encoding": "gzip" })))).toBe("400 malformed");
    expect(await refusalOf(bodyOf(post("/", (await gzipped(toBytes("cut off"))).slice(0, -9), { "content-encoding": "gzip" })))).toBe("400 malformed");
  });

  test("refuses a body that breaks off", async () => {
    const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({ pull: (controller) => controller.error(new Error("gone")) });

    expect(await refusalOf(bodyOf(post("/", broken)))).toBe("400 malformed");
  });

  test("refuses a body of another length than it says", async () => {
    expect(await refusalOf(bodyOf(post("/", streamOf([new Uint8Array(5)]), { "content-length": "6" })))).toBe("400 malformed");
  });

  test("refuses a body that takes longer than the limit, and cancels it", async () => {
    const runtime = stillRuntime();
    let isCancelled = false;
    const stuck = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => void (isCancelled = true) });
    const reading = readBody(post("/", stuck), { runtime, bytesMax: BYTES_MAX, timeoutMs: 30_000, admitted: new Admission().enter() });

    runtime.advance(29_999);
    runtime.advance(1);

    expect(await refusalOf(reading)).toBe("408 too_slow");
    runtime.advance(100);
    expect(isCancelled).toBe(true);
  });

  test("holds no memory for a body that it has given up", async () => {
    const runtime = stillRuntime();
    const admission = new Admission();
    const admitted = admission.enter();
    const source = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>>();
    const reading = readBody(post("/", new ReadableStream({ start: source.resolve })), { runtime, bytesMax: BYTES_MAX, timeoutMs: 10, admitted });
    const controller = await source.promise;

    runtime.advance(10);
    expect(await refusalOf(reading)).toBe("408 too_slow");
    admitted.release();
    controller.enqueue(new Uint8Array(10));
    await runtime.yield();

    expect(admission.bytes).toBe(0);
  });

  test("refuses when the memory of all bodies is taken", async () => {
    const admission = new Admission({ bodyBytesUnderWayMax: 100 });
    await bodyOf(post("/", new Uint8Array(60)), admission);

    expect(await refusalOf(bodyOf(post("/", new Uint8Array(60)), admission))).toBe("503 overloaded");
    expect(admission.bytes).toBe(60);
  });

  test("takes a request without a body as empty", async () => {
    expect((await bodyOf(post("/", null))).length).toBe(0);
  });
});

describe("checkHead()", () => {
  const json = { "content-type": "application/json" };

  test.each([
    [{ ...json, "content-length": "1001" }, "413 body_too_large"],
    [{ ...json, "content-length": "99999999999999999999" }, "400 malformed"],
    [{ ...json, "content-length": "-1" }, "400 malformed"],
    [{ ...json, "content-length": "2, 2" }, "400 malformed"],
    [{ ...json, "content-length": "2", "transfer-encoding": "chunked" }, "400 malformed"],
    [{}, "415 content_type"],
    [{ "content-type": "text/plain" }, "415 content_type"],
    [{ "content-type": "application/x-www-form-urlencoded" }, "415 content_type"],
    [{ "content-type": "application/jsonx" }, "415 content_type"],
    [{ "content-type": "application/json; charset=utf-16" }, "415 content_type"],
    [{ ...json, "content-encoding": "br" }, "415 content_encoding"],
    [{ ...json, "content-encoding": "gzip, gzip" }, "415 content_encoding"],
  ])("refuses %j", async (headers, wanted) => {
    expect(await refusalOf((async () => checkHead(new Headers(headers as Record<string, string>), BYTES_MAX))())).toBe(wanted);
  });

  test.each([
    [{ ...json, "content-length": "1000" }],
    [{ "content-type": "Application/JSON; Charset=UTF-8" }],
    [{ "content-type": 'application/json;charset="utf-8"; profile=x' }],
    [{ "content-type": "application/cloudevents+json" }],
    [{ "content-type": "application/vnd.acme.v2+json" }],
    [{ ...json, "content-encoding": "GZIP" }],
    [{ ...json, "content-encoding": "identity" }],
  ])("takes %j", (headers) => {
    expect(() => checkHead(new Headers(headers as Record<string, string>), BYTES_MAX)).not.toThrow();
  });
});
