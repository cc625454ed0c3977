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
  const install = ["install", "--no-install-recommends", ...missing];
  // The lists of a fresh image are empty.
  const fault = aptGet(install) === null ? null : aptGet(["update"]) ?? aptGet(install);
  if (fault !== null) say(fault);
  return fault === null;
}

function isPackageInstalled(name) {
  const { status, stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Status}", name], { encoding: "utf8" });
  return status === 0 && stdout.startsWith("install ok installed");
}

/** Null, or the end of what it said. */
function aptGet(args) {
  const { status, stdout, stderr } = spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", ...args], {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return status === 0 ? null : `${stdout ?? ""}${stderr ?? ""}`.trim().split("\n").slice(-20).join("\n");
}
