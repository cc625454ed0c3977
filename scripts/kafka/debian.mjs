/** Debian's packages, where we are root and there is apt-get. */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** Whether packages may be installed. */
export function canInstall() {
  return process.platform === "linux" && process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
}

/** Installs those of `names` that are missing, and says so. False when it could not; `canInstall()` is asked first. */
export function installPackages(names, say) {
  const missing = names.filter((name) => !isPackageInstalled(name));
  if (missing.length === 0) return true;
  if (!canInstall()) return false;
  say(`Debian's packages: installing ${missing.join(", ")} …`);
  return aptGet(["install", "--no-install-recommends", ...missing]) || (aptGet(["update"]) && aptGet(["install", "--no-install-recommends", ...missing]));
}

function isPackageInstalled(name) {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.startsWith("install ok installed");
}

function aptGet(args) {
  const { status, stdout, stderr } = spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", ...args], {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (status !== 0) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`.split("\n").slice(-20).join("\n"));
  return status === 0;
}
