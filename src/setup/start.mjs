/** `npm start -- ARGS`: sets up what is missing, then runs lola from its sources with this process's streams and signals. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { say } from "./process.mjs";
import { root, setUp } from "./setup.mjs";

const ready = await setUp().catch((error) => {
  say(error.message);
  process.exit(1);
});
if (ready.worked || process.stderr.isTTY) ready.missing.forEach(say);

// npm runs scripts in the package's folder; paths in ARGS are relative to where the user stands.
const fromNpm = process.env.npm_lifecycle_event === "start";
const child = spawn(
  ready.bun,
  ["--no-env-file", `--config=${join(root, "bunfig.toml")}`, join(root, "src/main.ts"), ...process.argv.slice(2)],
  { stdio: "inherit", cwd: (fromNpm && process.env.INIT_CWD) || process.cwd() },
);

// A terminal sends Ctrl-C to the child as well; without one only this process hears of it.
const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
process.on("SIGINT", () => terminal || child.kill("SIGINT"));
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));

child.on("error", (error) => {
  say(error.message);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
