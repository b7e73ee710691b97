/** `npm run build`: sets up what is missing, then compiles `dist/lola`. */
import { join } from "node:path";
import { mustRun, say } from "./process.mjs";
import { root, setUp } from "./setup.mjs";

try {
  const { bun, missing } = await setUp();
  missing.forEach(say);
  say("compiling dist/lola");
  await mustRun(bun, [join(root, "src/setup/compile.ts")], { cwd: root });
} catch (error) {
  say(error.message);
  process.exit(1);
}
