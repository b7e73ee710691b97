/** `lola merge`: a model and adapters of it → one model. */
import { LolaError } from "../../base/errors.ts";
import { adapterFlag } from "../adapters.ts";
import { type Merged, showMerged } from "../adapters-show.ts";
import { required } from "../context.ts";
import { engineFlags, modelFlag } from "../flags.ts";
import { defineCommand } from "../table.ts";

export const merge = defineCommand({
  name: "merge",
  summary: "makes one model of a model and its adapters",
  examples: [
    { line: "lola merge --adapter run/ -o swahili.lola", doc: "what lola finetune made, and the model that it is for" },
    {
      line: "lola merge --adapter law.lola --adapter tone.lola:0.5 -o both.lola",
      doc: "two adapters, half of the second",
    },
  ],
  args: [],
  flags: {
    output: { type: "text", value: "FILE", short: "o", doc: "where to write", complete: "file" },
    dtype: {
      type: "choice",
      value: "TYPE",
      choices: ["f32", "f16", "bf16"],
      doc: "type of the matrices that change (default: as stored, f32 where they are quantized)",
    },
    force: { type: "flag", doc: "replace the file if it exists" },
    ...modelFlag,
    ...adapterFlag,
    ...engineFlags,
  },
  notes: [
    "Without --model, the base is the model that the adapter was made for: built in, stored, or where it was.",
    "Before the file appears it is held against the base with the adapters at run time, on fixed texts: the largest difference of a logit is told. Where the likeliest token differs by more than rounding, or nothing has changed, there is no file.",
  ],
  async run(context): Promise<Merged> {
    const { flags } = context;
    const example = "lola merge --adapter run/ -o merged.lola";
    if (flags.adapter.length === 0) throw new LolaError("usage", "missing --adapter ADAPTER, what to merge", example);
    const path = required(flags.output, "-o FILE, where to write", example);
    const { mergeInto } = await import("../adapters-merge.ts");
    return mergeInto(path, context);
  },
  show: showMerged,
});
