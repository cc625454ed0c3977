/** Folders that are made once, and whole or not at all: by whichever process comes first, while others wait. Any Node from 20 on, Bun and Deno. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Where the project keeps what it made for itself. `npm ci` removes it. */
export const cache = fileURLToPath(new URL("../../node_modules/.cache/millrace", import.meta.url));

const STAMP = "installed.json";
const LOOK_AGAIN_MS = 200;

/** Whether `target` was made from `key`. */
export function isInstalled(target, key) {
  try {
    return JSON.parse(readFileSync(join(target, STAMP), "utf8")) === key;
  } catch {
    return false;
  }
}

/** Has `make` fill an empty folder, and puts it at `target` with its stamp, unless it is there with the same `key`. Throws what `make` throws, and leaves then what was. */
export function installOnce(target, key, make) {
  if (isInstalled(target, key)) return;
  mkdirSync(dirname(target), { recursive: true });
  withLock(`${target}.lock`, () => {
    if (isInstalled(target, key)) return;
    const fresh = `${target}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh);
    try {
      make(fresh);
      writeFileSync(join(fresh, STAMP), JSON.stringify(key));
      rmSync(target, { recursive: true, force: true });
      renameSync(fresh, target);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      throw error;
    }
  });
}

/** Runs `body` in one process at a time. A lock whose process is gone is nobody's. */
export function withLock(path, body) {
  while (!tryLock(path)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_AGAIN_MS);
  try {
    return body();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const owner = textOf(path);
  if (owner === null || owner === "" || isAlive(Number(owner))) return false;
  // Two may find it at once: who moved away a lock that is not the dead one's gives it back.
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return false;
  }
  if (textOf(aside) === owner) rmSync(aside, { force: true });
  else renameSync(aside, path);
  return false;
}

function textOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
