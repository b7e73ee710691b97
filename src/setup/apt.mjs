/** Packages of Debian and its relatives that the tests need, installed where that is possible. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, mustRun, run } from "./process.mjs";

/** Run by root on Debian or a relative of it? */
export function canInstall() {
  return process.platform === "linux" && process.getuid() === 0 && findProgram("apt-get") !== undefined;
}

/**
 * Installs packages. The lists of packages, and the source of backports, live in a temporary folder, so the machine's own
 * sources stay as they are.
 * @param packages names
 * @param {{backports?: boolean}} from on Debian 12, from its backports
 * @throws Error with what apt says
 */
export async function aptInstall(packages, { backports: wanted = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "lola-apt-"));
  try {
    const lists = join(folder, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    const options = ["-qq", "-o", `Dir::State::lists=${lists}`];
    const release = readFileSync("/etc/os-release", "utf8");
    const backports = wanted && /^VERSION_CODENAME=bookworm$/m.test(release) ? await backportsSource() : undefined;
    if (backports) {
      const sources = join(folder, "sources.list");
      const own = "/etc/apt/sources.list";
      writeFileSync(sources, `${existsSync(own) ? readFileSync(own, "utf8") : ""}\n${backports}\n`);
      options.push("-o", `Dir::Etc::sourcelist=${sources}`);
    }
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // A source that does not answer must not stop the others; what counts is whether the packages can be had.
    await run("apt-get", [...options, "update"], { env });
    const target = backports ? ["-t", "bookworm-backports"] : [];
    await mustRun("apt-get", [...options, "install", "-y", "--no-install-recommends", ...target, ...packages], { env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The backports on the mirror that this machine already uses for Debian. */
async function backportsSource() {
  const known = await run("apt-get", ["indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"]);
  const mirror = known.output
    .split("\n")
    .find((line) => line.endsWith(" bookworm"))
    ?.split(" ")[0];
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const signed = existsSync(keyring) ? `[signed-by=${keyring}] ` : "";
  return `deb ${signed}${mirror ?? "http://deb.debian.org/debian"} bookworm-backports main`;
}
