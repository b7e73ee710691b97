/** Run by streaming.test.ts in a process of its own: imports a folder, reads the result, prints the memory it took. */
import { existsSync, readFileSync } from "node:fs";
import { importModel } from "../../src/checkpoint/import.ts";
import { openModel } from "../../src/checkpoint/open.ts";
import { parseTokenizer } from "./published.ts";

const [folder, file, type] = process.argv.slice(2) as [string, string, "f16" | undefined];
const base = process.memoryUsage.rss();
const source = openModel(folder, parseTokenizer);
const { sourceBytes } = await importModel(source, file, type ? { type } : {});
const model = openModel(file, parseTokenizer);
let read = 0;
for (const name of model.tensors.keys()) for (const piece of model.read(name)) read += piece.length;
const peak = peakMemory();
console.log(JSON.stringify({ sourceBytes, read, rise: peak - base }));

/** Bytes. Linux's maxRSS starts from the parent's, which may be large; VmHWM is this program's own. */
function peakMemory(): number {
  const status = "/proc/self/status";
  if (!existsSync(status)) return process.resourceUsage().maxRSS;
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, "utf8"))![1]) * 1024;
}
