/**
 * The test command: `npm test`, or `node scripts/test.mjs [name of a suite …]`.
 *
 * Works on Node 20 and later with npm and nothing else. Installs what is missing, type-checks, runs the same tests on Bun and Deno side by side and then on Node, with one Kafka broker beside them,
 * prints what was skipped and why, and ends with one line that counts everything. Exit code 0 only when nothing failed.
 *
 * MILLRACE_TEST_KAFKA, an address, names a broker to use in place of its own.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { environment, install, installForKafka, root } from "./install.mjs";
import { startBroker } from "./kafka/broker-process.mjs";

const output = mkdtempSync(join(tmpdir(), "millrace-test-"));
process.on("exit", () => rmSync(output, { recursive: true, force: true }));

const SUITE_TIMEOUT_MS = 25 * 60_000;
/** For the topics of all suites. */
const BROKER_HEAP_MB = 768;
const TAIL_LINES = 60;
const FAILURES_SHOWN_MAX = 20;
const FAILURE_LINES_MAX = 30;

environment.NO_COLOR = "1";
delete environment.FORCE_COLOR;

/** A suite: how to run it, and the JUnit report it writes; without one its exit code is its only test. */
const suites = [
  { name: "types", about: "TypeScript over everything", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "core", about: "TypeScript over src/ without any runtime's types", command: ["tsc", "-p", "tsconfig.core.json"] },
  {
    name: "bun",
    about: "the tests on Bun",
    command: ["bun", "test", "--timeout", "180000", "--reporter=junit", `--reporter-outfile=${join(output, "bun.xml")}`, "./tests"],
    report: join(output, "bun.xml"),
  },
  {
    name: "deno",
    about: "the tests on Deno",
    command: ["deno", "test", "-A", "--no-check", "--quiet", `--junit-path=${join(output, "deno.xml")}`, "tests"],
    report: join(output, "deno.xml"),
  },
  {
    name: "node",
    about: "the tests on Node, workerd among them",
    command: [
      "node",
      "--import",
      "./tests/shim/register.mjs",
      "--test",
      "--test-concurrency=2",
      "--test-reporter=junit",
      `--test-reporter-destination=${join(output, "node.xml")}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      "tests/**/*.test.ts",
    ],
    report: join(output, "node.xml"),
  },
];

await main(process.argv.slice(2));

async function main(wanted) {
  const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) fail(`No suite is named ${unknown.join(", ")}; there are ${suites.map((suite) => suite.name).join(", ")}.`);

  install();
  const chosen = suites.filter((suite) => wanted.length === 0 || wanted.includes(suite.name));
  const missing = chosen.some(runsTests) ? installForKafka() : { broker: null, native: null };
  const started = performance.now();
  const results = [];
  let broker;
  for (const together of sideBySide(chosen)) {
    if (runsTests(together[0]) && broker === undefined && missing.broker === null && !environment.MILLRACE_TEST_KAFKA) {
      broker = await brokerForAll();
      if (broker === null) results.push({ suite: { name: "kafka" }, seconds: 0, passed: 0, failed: 1, skips: [] });
    }
    for (const { name, about } of together) say(`\n▶ ${name}: ${about}`);
    results.push(...await Promise.all(together.map(runSuite)));
  }
  const tookMs = performance.now() - started;
  await broker?.remove();
  summarise(results, missing, tookMs);
}

/** What runs at once: Bun and Deno take one file after the other, and wait more than they work. */
function sideBySide(chosen) {
  const isPaired = ({ name }) => name === "bun" || name === "deno";
  const pair = chosen.filter(isPaired);
  return chosen.flatMap((suite) => !isPaired(suite) ? [[suite]] : suite === pair[0] ? [pair] : []);
}

/** Null when it does not start: a failure, for all that it needs is here. */
async function brokerForAll() {
  try {
    const broker = await startBroker({ heapMb: BROKER_HEAP_MB });
    environment.MILLRACE_TEST_KAFKA = broker.bootstrap;
    say(`\n▶ kafka: a broker for all suites at ${broker.bootstrap}`);
    return broker;
  } catch (error) {
    say(`\n▶ kafka: a broker for all suites\n  ✖ ${error.message}`);
    return null;
  }
}

/** Type checks need no Kafka. */
function runsTests(suite) {
  return suite.report !== undefined;
}

// ── running ─────────────────────────────────────────────────────────────────────────────────────

async function runSuite(suite) {
  const started = performance.now();
  const { code, text } = await run(suite.command);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const result = suite.report === undefined ? { passed: code === 0 ? 1 : 0, failures: [], skips: [] } : readReport(suite.report);
  // A file that could not be loaded, a crash or a time-out leaves no failed test behind.
  const isBroken = code !== 0 && result.failures.length === 0;
  const failed = result.failures.length + (isBroken ? 1 : 0);

  if (suite.report !== undefined) say(`\n${suite.name}:`);
  for (const { name, message } of result.failures.slice(0, FAILURES_SHOWN_MAX)) say(`  ✖ ${name}\n${indent(message.split("\n").slice(0, FAILURE_LINES_MAX))}`);
  if (result.failures.length > FAILURES_SHOWN_MAX) say(`  … and ${result.failures.length - FAILURES_SHOWN_MAX} more`);
  // A file that could not be loaded says why in its output only.
  if (result.failures.some(({ name }) => name.endsWith(".test.ts"))) {
    say(`  the last lines of its output:\n${indent(text.trimEnd().split("\n").slice(-TAIL_LINES))}`);
  }
  if (isBroken) say(`  ✖ ended with exit code ${code}; the last lines of its output:\n${indent(text.trimEnd().split("\n").slice(-TAIL_LINES))}`);
  say(`  ${result.passed} passed, ${failed} failed, ${result.skips.length} skipped in ${seconds} s`);
  return { suite, seconds, passed: result.passed, failed, skips: result.skips };
}

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"], shell: process.platform === "win32" });
    let text = "";
    const timer = setTimeout(() => {
      text += `\nStopped after ${SUITE_TIMEOUT_MS / 60_000} minutes.\n`;
      child.kill("SIGKILL");
    }, SUITE_TIMEOUT_MS);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
    const end = (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, text });
    };
    child.once("error", (error) => {
      text += String(error);
      end(1);
    });
    child.once("close", end);
  });
}

// ── reports ─────────────────────────────────────────────────────────────────────────────────────

function readReport(path) {
  const result = { passed: 0, failures: [], skips: [] };
  if (!existsSync(path)) return result;
  const attributes = String.raw`((?:[^>"]|"[^"]*")*?)`;
  const testCase = new RegExp(String.raw`<testcase\b${attributes}(?:/>|>([\s\S]*?)</testcase>)`, "g");
  for (const [, head, body = ""] of readFileSync(path, "utf8").matchAll(testCase)) {
    const name = decode(/\bname="([^"]*)"/.exec(head)?.[1] ?? "?");
    // Bun names the group here, Node says "test", and Deno says where the shim is.
    const group = decode(/\bclassname="([^"]*)"/.exec(head)?.[1] ?? "");
    const title = group === "" || group === "test" || group.startsWith("./") || name.includes(group) ? name : `${group} > ${name}`;
    const failure = new RegExp(String.raw`<(?:failure|error)\b${attributes}(?:/>|>([\s\S]*?)</(?:failure|error)>)`).exec(body);
    if (failure !== null) {
      const message = decode(failure[2] ?? "").trim() || decode(/\bmessage="([^"]*)"/.exec(failure[1])?.[1] ?? "");
      result.failures.push({ name: title, message });
    } else if (/<skipped\b/.test(body)) result.skips.push(title);
    else result.passed++;
  }
  return result;
}

function decode(text) {
  return text
    .replace(/<!\[CDATA\[([\s\S]*?)\]\]>/g, "$1")
    .replace(/&#(x?)([0-9a-f]+);/gi, (_, hex, digits) => String.fromCodePoint(Number.parseInt(digits, hex === "" ? 10 : 16)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}

function summarise(results, missing, tookMs) {
  const skips = new Map();
  for (const { suite, skips: names } of results) for (const name of names) skips.set(name, [...(skips.get(name) ?? []), suite.name]);
  if (skips.size > 0) say("\nSkipped:");
  for (const [name, where] of skips) {
    const [, title, reason] = /^(.*?)\s*\[skipped: (.*)\]$/.exec(name) ?? [null, name, "no reason given in its name"];
    say(`  ${[...new Set(where)].join(", ")}: ${title}\n    ${reason}`);
  }

  if (missing.broker !== null) say(`\nNO KAFKA BROKER: ${missing.broker}. The tests that need one were skipped.`);
  if (missing.native !== null) say(`\nNO NATIVE KAFKA CLIENT: ${missing.native}. Its tests were skipped.`);

  say("");
  for (const { suite, seconds, passed, failed, skips: skipped } of results) {
    say(`${suite.name.padEnd(6)} ${`${seconds} s`.padStart(9)}   ${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  }
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0);
  const failed = sum((result) => result.failed);
  const skipped = sum((result) => result.skips.length);
  say(`all    ${`${(tookMs / 1000).toFixed(1)} s`.padStart(9)}\n`);
  say(`${sum((result) => result.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed > 0 || results.length === 0 ? 1 : 0;
}

function indent(lines) {
  return lines.map((line) => `      ${line}`).join("\n");
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

function fail(text) {
  say(text);
  say("0 passed, 1 failed");
  process.exit(1);
}
