/** The program's start, and the only place that ends it. */
import manifest from "../package.json" with { type: "json" };
import { run } from "./cli/run.ts";

process.exit(await run(process.argv.slice(2), manifest.version, (code) => process.exit(code)));
