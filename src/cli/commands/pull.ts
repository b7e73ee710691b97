/** `lola pull`: downloads a published model and makes a `.lola` file of it. */
import { askText, tellEquivalent } from "../ask.ts";
import { required } from "../context.ts";
import { bytes } from "../style.ts";
import { defineCommand } from "../table.ts";
import { type Imported, importInto, newFile, showImported } from "./import.ts";

interface Pulled {
  repository: string;
  commit: string;
  folder: string;
  files: { name: string; bytes: number; fetched: number }[];
  imported: Imported | null;
}

export const pull = defineCommand({
  name: "pull",
  summary: "downloads a published model",
  examples: [
    { line: "lola pull dice-research/lola_v1 --dtype f16", doc: "download and import LOLA; then: -m lola_v1" },
    { line: "HF_ENDPOINT=https://mirror.example lola pull dice-research/lola_v1", doc: "from a mirror" },
  ],
  args: [{ name: "model", doc: "OWNER/NAME, as on Hugging Face" }],
  flags: {
    revision: { type: "text", value: "REV", default: "main", doc: "branch, tag or commit" },
    import: { type: "negated", doc: "leave the downloaded folder as it is" },
    dtype: {
      type: "choice",
      value: "TYPE",
      choices: ["f32", "f16", "bf16"],
      doc: "type of the weights (default: as stored)",
    },
    output: {
      type: "text",
      value: "FILE",
      short: "o",
      doc: "file to write (default: NAME.lola in the folder of models)",
      complete: "file",
    },
    force: { type: "flag", doc: "replace the file if it exists" },
  },
  notes: [
    "An interrupted download goes on where it stopped when the same command runs again. Length and hash of every file are checked. A token is taken from HF_TOKEN and goes to the endpoint itself only. This is the one command that uses the network.",
  ],
  async run(context): Promise<Pulled> {
    const { flags, notes } = context;
    let [name] = context.args;
    if (name === undefined && context.interactive) {
      name = await askText("Which model?", "dice-research/lola_v1");
      tellEquivalent(notes, ["pull", ...context.words, name]);
    }
    const repository = required(name, "the model's name", "lola pull dice-research/lola_v1");
    const { hubFolder, namedFile } = await import("../../checkpoint/models.ts");
    const { hubAccess } = await import("../../checkpoint/hub.ts");
    const { pullModel } = await import("../../checkpoint/pull.ts");
    const folder = hubFolder(repository);
    const path = flags.output ?? newFile(namedFile(repository.split("/")[1]!));
    const access = { ...hubAccess(), signal: context.cancellation() };
    try {
      const report = await pullModel(repository, folder, access, {
        revision: flags.revision,
        progress: (file, done, total) => notes.progress(`${file}  ${bytes(done)} of ${bytes(total)}`),
      });
      notes.progress("");
      const imported = flags.import ? await importInto(folder, path, flags, notes) : null;
      return { repository, ...report, folder, imported };
    } finally {
      notes.progress("");
    }
  },
  show({ repository, commit, folder, files, imported }) {
    const total = files.reduce((sum, f) => sum + f.bytes, 0);
    const fetched = files.reduce((sum, f) => sum + f.fetched, 0);
    const line = `${repository} at ${commit.slice(0, 12)}: ${bytes(total)} in ${folder}, ${bytes(fetched)} of it fetched now`;
    return imported ? `${line}\n${showImported(imported)}` : line;
  },
});
