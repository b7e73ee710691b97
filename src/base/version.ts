/** The version of this program, from package.json: what files, `--version` and the doctor report. */
import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;
