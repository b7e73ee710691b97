/** `npm test`: sets up what is missing, then types, lint and all tests; the last line says how many passed and failed. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { needChromium } from "./chromium.mjs";
import { run, say } from "./process.mjs";
import { root, setUp } from "./setup.mjs";
import { softwareVulkan } from "./vulkan.mjs";

let bun;
let vulkan;
try {
  const ready = await setUp();
  ready.missing.forEach(say);
  bun = ready.bun;
  vulkan = await softwareVulkan(bun);
  await needChromium();
} catch (error) {
  say(error.message);
  process.exit(1);
}

const bin = join(root, "node_modules/.bin");
const typesHold = await check("types", join(bin, "tsc"), ["-p", root]);
const lintHolds = await check("lint", join(bin, "biome"), [
  "check",
  "--error-on-warnings",
  `--config-path=${join(root, ".ci")}`,
  root,
]);
const { passed, failed, code } = await tests();
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = typesHold && lintHolds && code === 0 && passed > 0 && failed === 0 ? 0 : 1;

/** Runs a checker; prints what it says only when it finds something. */
async function check(what, program, args) {
  const { code, output } = await run(process.execPath, [program, ...args], { cwd: root });
  if (code !== 0) process.stdout.write(`${output.trim()}\n`);
  process.stdout.write(`${what}: ${code === 0 ? "ok" : "failed"}\n`);
  return code === 0;
}

/** Runs `bun test`, shows it, and reads the counts from its closing lines. */
function tests() {
  return new Promise((resolve) => {
    const child = spawn(bun, ["test", "--timeout=120000", ...process.argv.slice(2)], {
      cwd: root,
      env: { ...process.env, ...vulkan },
      stdio: ["ignore", "inherit", "pipe"],
    });
    let report = "";
    child.stderr.on("data", (data) => {
      process.stderr.write(data);
      report += data;
    });
    const count = (word) => Number(new RegExp(`^\\s*(\\d+) ${word}`, "m").exec(report)?.[1] ?? 0);
    child.on("close", (code) => resolve({ passed: count("pass"), failed: count("fail"), code }));
  });
}
