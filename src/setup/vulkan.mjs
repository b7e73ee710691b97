/** Gives the GPU tests a software adapter: Mesa's lavapipe, installed with apt where that is possible. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { aptInstall, canInstall } from "./apt.mjs";
import { run, say } from "./process.mjs";
import { root } from "./setup.mjs";

/** Older ones lack what the kernels and Dawn need. */
const oldestMesa = 23;

const driverFolders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/**
 * Finds lavapipe, or installs it on Debian and its relatives when run by root.
 * @param bun path of Bun
 * @returns {Promise<Record<string, string>>} environment variables with which the tests find it, hardware GPUs left alone
 * @throws Error with one line that says what to install
 */
export async function softwareVulkan(bun) {
  if (process.platform !== "linux") return {};
  let found = await probe(bun);
  if (found.problem && canInstall()) {
    say(`installing Mesa's software Vulkan (${found.problem})`);
    // Bookworm's own Mesa is too old, so there it comes from the backports.
    await aptInstall(["mesa-vulkan-drivers", "libvulkan1"], { backports: true }).catch((error) => say(error.message));
    found = await probe(bun);
  }
  if (found.problem) {
    throw new Error(
      `the GPU tests need a software Vulkan: ${found.problem}. Install mesa-vulkan-drivers ${oldestMesa} or later and libvulkan1 ` +
        "(Debian 12: apt install -t bookworm-backports mesa-vulkan-drivers libvulkan1; Fedora: mesa-vulkan-drivers vulkan-loader)",
    );
  }
  return found.env;
}

/** Asks Dawn itself, in a process of its own, with lavapipe as the only driver where there is one. */
async function probe(bun) {
  const env = process.env.VK_DRIVER_FILES ? {} : lavapipeOnly();
  const { code, output } = await run(bun, [join(root, "src/setup/vulkan.ts")], { env: { ...process.env, ...env } });
  if (code !== 0) return { problem: `probing failed: ${output.trim().split("\n")[0]}` };
  const adapter = JSON.parse(output.slice(output.search(/[{"]/)));
  if (typeof adapter === "string") return { problem: adapter };
  const mesa = /Mesa (\d+)/.exec(adapter.details.driver)?.[1];
  if (!adapter.software) return { problem: `${adapter.name} is hardware and there is no lavapipe beside it` };
  if (mesa && Number(mesa) < oldestMesa) return { problem: `Mesa ${mesa} is too old` };
  return { env };
}

function lavapipeOnly() {
  for (const folder of driverFolders.filter(existsSync)) {
    const name = readdirSync(folder).find((file) => /^lvp_icd.*\.json$/.test(file));
    if (name) return { VK_DRIVER_FILES: join(folder, name) };
  }
  return {};
}
