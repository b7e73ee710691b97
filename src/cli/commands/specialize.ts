/** `lola specialize`: a model for some languages, without the experts that they can do without. */
import { specializeChoices } from "../specialize-ask.ts";
import { specializeFlags } from "../specialize-flags.ts";
import { type SpecializeResult, showSpecialized } from "../specialize-show.ts";
import { defineCommand } from "../table.ts";

export const specialize = defineCommand({
  name: "specialize",
  summary: "makes a model for some languages smaller, by the experts that they can do without",
  examples: [
    { line: "lola specialize --lang swa --keep 25% -o swahili.lola", doc: "a quarter of the built-in model's experts" },
    {
      line: "lola specialize --lang swa,lin --keep 6 --texts texts/ -o small.lola",
      doc: "two languages, by texts of your own",
    },
    {
      line: "lola specialize --lang tur --max-loss 3% -o turkish.lola",
      doc: "only if Turkish loses at most 3 %",
    },
  ],
  args: [],
  flags: specializeFlags,
  notes: [
    "From each layer, the experts go without which the layer's output on these texts changes least, one after the other; every layer keeps as many. Then the second matrix of each that stays is fitted to all tokens that now reach it, by ridge regression towards what the whole layer said. That takes forward passes alone. All other weights are copied as they are stored; the file is a model like any other, with fewer experts.",
    "Measured are bits per byte before and after, of the chosen languages and of the others, by windows of up to 512 tokens that overlap by half. By default experts are chosen by the first half of the Declaration's lines, and measured on the second. Text of another kind than what experts were chosen by costs more: with --texts, choose by what the model will read.",
    "lola finetune goes on from there; lola help data tells what texts may look like.",
  ],
  async run(context): Promise<SpecializeResult> {
    const { languages, output } = await specializeChoices(context);
    const { specializeInto } = await import("../specialize-run.ts");
    return specializeInto(context, languages, output);
  },
  show: showSpecialized,
});
