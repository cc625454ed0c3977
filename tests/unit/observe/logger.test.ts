import { describe, expect, test } from "bun:test";
import { ExternalError } from "../../../src/base/errors.ts";
import { errorFacts, type ObservedEvent, severityOf } from "../../../src/observe/events.ts";
import { describe as sentence, logger, type LoggerOptions } from "../../../src/observe/logger.ts";

const record = { topic: "payments", partition: 2, position: 41 };
const warning: ObservedEvent = { type: "warning", message: "careful", error: null };

function printing(options: Omit<LoggerOptions, "runtime"> = {}): { readonly lines: string[]; readonly clock: { ms: number }; readonly log: ReturnType<typeof logger> } {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const runtime = { now: () => clock.ms, monotonic: () => clock.ms, print: (line: string, stream: "out" | "error" = "out") => void lines.push(`${stream} ${line}`) };
  return { lines, clock, log: logger({ runtime, ...options }) };
}

describe("logger()", () => {
  test("writes sentences, warnings and errors to the error stream", () => {
    const { lines, log } = printing();

    log({ type: "listening", url: "http://127.0.0.1:8080", isLoopback: true });
    log({ type: "recordDeadLettered", task: "payments-2", step: "parse", record, attempts: 3, topic: "payments-dlq", error: errorFacts(new ExternalError("DISK_FAILED", "full")) });

    expect(lines).toEqual([
      "out 1970-01-01T00:00:00.000Z INFO  Listening on http://127.0.0.1:8080",
      'error 1970-01-01T00:00:00.000Z ERROR Record payments-2@41 went to "payments-dlq" after 3 attempts in step "parse": ExternalError DISK_FAILED: full',
    ]);
  });

  test("writes JSON lines", () => {
    const { lines, log } = printing({ format: "json" });

    log({ type: "recordLate", task: "payments-2", step: "window", record, latenessMs: 5 });

    expect(JSON.parse(lines[0]!.slice("out ".length))).toEqual({ time: "1970-01-01T00:00:00.000Z", level: "info", event: "recordLate", task: "payments-2", step: "window", record, latenessMs: 5 });
  });

  test("leaves out what is quieter than asked for", () => {
    const { lines, log } = printing({ level: "error" });

    log(warning);

    expect(lines).toEqual([]);
  });

  test.each(["text", "json"] as const)("writes no secret as %s, wherever it is", (format) => {
    const { lines, log } = printing({ format, secrets: ["hunter2", "abc"] });

    log({ type: "requestFailed", route: "/hunter2", status: 503, error: errorFacts(new Error("a hunter2", { cause: new Error("b hunter2 abc") })) });

    expect(lines.join()).not.toContain("hunter2");
    expect(lines.join()).toContain("b [secret] abc");
  });

  test("writes one line, without characters that a terminal obeys", () => {
    const { lines, log } = printing();

    log({ type: "webhookDuplicateDiffers", webhook: "/a", idempotencyId: "x\n2026 ERROR forged\u001b[31m\u202e" });

    expect(lines).toEqual(['error 1970-01-01T00:00:00.000Z WARN  Webhook /a got id "x\\u{a}2026 ERROR forged\\u{1b}[31m\\u{202e}" again with another body: the first one stays']);
  });

  test("cuts long texts", () => {
    const { lines, log } = printing();

    log({ type: "warning", message: "x".repeat(100_000), error: null });

    expect(lines[0]!.length).toBeLessThan(2_100);
  });

  test("writes a few lines a second of one kind, and counts the rest", () => {
    const { lines, clock, log } = printing({ linesPerSecondMax: 2 });

    for (let i = 0; i < 10; i++) log(warning);
    log({ type: "appStopped", app: "shop", reason: "asked to" });
    clock.ms = 1_000;
    log(warning);
    log(warning);

    expect(lines.map((line) => line.slice(line.indexOf("Z ") + 2))).toEqual([
      "WARN  careful",
      "WARN  careful",
      'INFO  App "shop" stopped: asked to',
      "WARN  careful (8 more like it were left out)",
      "WARN  careful",
    ]);
  });
});

describe("describe()", () => {
  const error = errorFacts(new Error("boom"));

  test.each<[ObservedEvent, string, string]>([
    [{ type: "appStarted", app: "shop", runtime: "node 24", tasks: 3 }, "info", 'App "shop" started on node 24 with 3 tasks'],
    [{ type: "listening", url: "http://0.0.0.0:1", isLoopback: false }, "info", "Listening on http://0.0.0.0:1, open to other machines"],
    [{ type: "taskStarted", task: "t-0", restoredRecords: 5, durationMs: 7 }, "info", "Task t-0 started after 7 ms, 5 records restored"],
    [{ type: "taskStopped", task: "t-0", reason: "revoked", error: null }, "info", "Task t-0 stopped: revoked"],
    [{ type: "taskStopped", task: "t-0", reason: "failed", error }, "error", "Task t-0 stopped: failed: Error: boom"],
    [{ type: "taskStuck", task: "t-0", step: "s", record, ageMs: 9 }, "error", 'Task t-0 has not moved for 9 ms, in step "s", at payments-2@41'],
    [{ type: "taskStuck", task: "t-0", step: null, record: null, ageMs: 9 }, "error", "Task t-0 has not moved for 9 ms"],
    [{ type: "partitionsChanged", assigned: ["a-0", "a-1"], revoked: [] }, "info", "Partitions assigned: a-0, a-1; revoked: none"],
    [{ type: "recordSkipped", error: null, task: "t-0", step: "s", record, reason: "no key" }, "info", 'Record payments-2@41 skipped in step "s": no key'],
    [{ type: "recordLate", task: "t-0", step: "s", record, latenessMs: 5 }, "info", 'Record payments-2@41 is 5 ms late for step "s"'],
    [{ type: "retryScheduled", task: "t-0", step: "s", record, attempt: 2, delayMs: 10, error }, "warn", 'Record payments-2@41 failed in step "s", attempt 2, next in 10 ms: Error: boom'],
    [{ type: "commitFailed", tasks: ["t-0", "t-1"], error, retryAfterMs: 5 }, "error", "Commit of t-0, t-1 failed, next try in 5 ms: Error: boom"],
    [{ type: "commitsResumed", tasks: ["t-0", "t-1"], failures: 3 }, "warn", "Commits of t-0, t-1 work again, after 3 that failed"],
    [{ type: "logUnavailable", log: "kafka", error, retryAfterMs: null }, "error", 'Log "kafka" cannot be reached: Error: boom'],
    [{ type: "webhookRejected", webhook: "/a", status: 401, reason: "signature" }, "warn", "Webhook /a answered 401: signature"],
    [{ type: "adminRefused", remoteAddress: null, status: 403, reason: "host" }, "warn", "Admin request from an unknown address answered 403: host"],
    [{ type: "requestFailed", route: "/a", status: 500, error }, "error", "Request to /a answered 500: Error: boom"],
    [{ type: "warning", message: "careful", error }, "warn", "careful: Error: boom"],
  ])("%j is %s: %s", (event, severity, text) => {
    expect([severityOf(event), sentence(event)]).toEqual([severity as ReturnType<typeof severityOf>, text]);
  });
});

describe("errorFacts()", () => {
  test("tells code and cause of our errors, and the stack of those of others", () => {
    const facts = errorFacts(new ExternalError("DISK_FAILED", "full", { cause: new TypeError("inner") }));

    expect({ ...facts, cause: { ...facts.cause, stack: typeof facts.cause?.stack } }).toEqual({
      name: "ExternalError",
      code: "DISK_FAILED",
      message: "full",
      stack: null,
      cause: { name: "TypeError", code: null, message: "inner", stack: "string", cause: null },
    });
  });

  test("takes anything that is thrown, and ends where causes go in circles", () => {
    const circle = new Error("circle");
    circle.cause = circle;

    expect(errorFacts("text")).toEqual({ name: "string", code: null, message: "text", stack: null, cause: null });
    expect(errorFacts(null).message).toBe("null");
    expect(JSON.stringify(errorFacts(circle)).match(/"message":"circle"/g)?.length).toBe(4);
  });
});
