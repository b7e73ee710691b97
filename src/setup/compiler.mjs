/** Finds the machine's C and C++ compilers and compiles many files at once. */
import { availableParallelism } from "node:os";
import { findProgram, mustRun } from "./process.mjs";

/** Full path of a C compiler (`CC` decides), or undefined. */
export function findC() {
  return findProgram(...[process.env.CC].filter(Boolean), "cc", "gcc", "clang");
}

/** Full path of a C++ compiler (`CXX` decides), or undefined. */
export function findCpp() {
  return findProgram(...[process.env.CXX].filter(Boolean), "c++", "g++", "clang++");
}

/**
 * Runs compile jobs, as many at a time as there are cores.
 * @param jobs [{ compiler, args }]
 * @throws Error with the compiler's last lines
 */
export async function compileAll(jobs) {
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await mustRun(job.compiler, job.args);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
