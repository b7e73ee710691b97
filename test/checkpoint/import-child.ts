/** Run by streaming.test.ts in a process of its own: imports a folder, reads the result, prints the memory it took. */
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
// Linux counts in KiB; Bun hands it on as it is.
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ sourceBytes, read, rise: peak - base }));
