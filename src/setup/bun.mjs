/** Gets Bun, of exactly the version that package.json's `packageManager` names, from npm. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findProgram, run, say } from "./process.mjs";

const executable = process.platform === "win32" ? "bun.exe" : "bun";

/** "1.4.5", from package.json. */
export function bunVersion(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return packageManager.replace("bun@", "");
}

/** Where the set-up keeps Bun. */
export function bunPath(root) {
  return join(root, "node_modules/.lola", `bun-${bunVersion(root)}`, executable);
}

/** Names of the npm packages with a Bun for this machine, likeliest first: the right C library, and AVX2 where it is. */
function candidates() {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  const base = `@oven/bun-${system}-${arch}`;
  if (system !== "linux") return arch === "x64" ? [base, `${base}-baseline`] : [base];
  if (arch !== "x64") return [base, `${base}-musl`];
  const avx2 = /^flags\b.*\bavx2\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
  return (avx2 ? ["", "-baseline"] : ["-baseline"]).flatMap((kind) => [`${base}${kind}`, `${base}-musl${kind}`]);
}

/** Installs Bun if it is not there. @returns its path @throws Error when no build of it runs here */
export async function installBun(root) {
  const target = bunPath(root);
  if (existsSync(target)) return target;
  const version = bunVersion(root);
  say(`getting Bun ${version} from npm`);
  const folder = join(root, "node_modules/.lola", `bun-get-${process.pid}`);
  let failure = "";
  try {
    for (const name of candidates()) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      const got = await npm(
        ["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"],
        {
          folder,
          spec: `${name}@${version}`,
        },
      );
      const binary = join(folder, "node_modules", name, "bin", executable);
      const ran = got.code === 0 ? await run(binary, ["--version"]) : got;
      if (ran.code === 0 && ran.output.trim() === version) {
        mkdirSync(join(target, ".."), { recursive: true });
        renameSync(binary, target);
        return target;
      }
      failure = `${name}: ${ran.output.trim().split("\n").slice(-6).join("\n")}`;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  throw new Error(`no Bun ${version} from npm runs on this machine\n${failure}`);
}

/** npm by the path it told us when it started this script, else the one on PATH. */
function npm(args, { folder, spec }) {
  const all = [...args, "--prefix", folder, spec];
  const script = process.env.npm_execpath;
  if (script?.endsWith(".js")) return run(process.execPath, [script, ...all], { cwd: folder });
  return run(findProgram("npm") ?? "npm", all, { cwd: folder, shell: process.platform === "win32" });
}
