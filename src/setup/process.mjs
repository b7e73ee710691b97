/** Child processes for the set-up: run to the end, output kept and shown only when something fails. */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

const extensions = process.platform === "win32" ? [".exe", ".cmd", ""] : [""];

/** The first of the named programs that PATH has, as a full path, else undefined. */
export function findProgram(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      for (const extension of extensions) {
        const path = join(folder, name + extension);
        try {
          accessSync(path, constants.X_OK);
          if (folder && statSync(path).isFile()) return path;
        } catch {
          // Not here: look on.
        }
      }
    }
  }
  return undefined;
}

/**
 * Runs a program to its end without stdin.
 * @returns the exit code (null when a signal ended it or it could not be started) and everything it wrote
 */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    child.stderr.on("data", (data) => {
      output += data;
    });
    child.on("error", (error) => resolve({ code: null, output: `${output}${error.message}` }));
    child.on("close", (code) => resolve({ code, output }));
  });
}

/** As `run`, but a failure is an Error that carries the last lines of the output. */
export async function mustRun(program, args, options) {
  const { code, output } = await run(program, args, options);
  if (code === 0) return output;
  const tail = output.trim().split("\n").slice(-12).join("\n");
  throw new Error(`${program} ${args.slice(0, 2).join(" ")} failed (${code ?? "killed"})\n${tail}`);
}

/** One line of progress; stdout belongs to the program that is being set up. */
export function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}
