/** `lola quantize`: a model with fewer bits a weight, and what that cost in each language. */
import { quantizationChoices } from "../quantize-ask.ts";
import { quantizeFlags } from "../quantize-flags.ts";
import { type Quantized, showQuantized } from "../quantize-show.ts";
import { defineCommand } from "../table.ts";

export const quantize = defineCommand({
  name: "quantize",
  summary: "makes a model smaller, and tells what it cost in each language",
  examples: [
    { line: "lola quantize lola_v1/ --type q4 -o lola-q4.lola", doc: "a model folder in 4 bits a weight" },
    { line: "lola quantize -o small.lola --report small.html", doc: "the built-in model in 8, with a page of bars" },
    {
      line: "lola quantize model.lola --budget 4GiB --max-loss 2% -o small.lola",
      doc: "what fits, if no language loses more than 2 %",
    },
    {
      line: "lola quantize model.lola --type q4 --calibrate texts/ -o small.lola",
      doc: "4 bits at about half the loss, by texts in the model's languages",
    },
    {
      line: "lola quantize model.lola --experts q4 --eval texts/ -o small.lola",
      doc: "experts in 4 bits, measured on texts of your own",
    },
  ],
  args: [{ name: "model", doc: "a .lola file, a model folder, or the name of a stored model", complete: "model" }],
  flags: quantizeFlags,
  notes: [
    "Memory stays small whatever the size; the same model and flags give the same bytes on the same device. The file appears whole or not at all; with --max-loss, after it was measured.",
    "Measured are bits per byte of held-out text before and after, by windows of up to 512 tokens that overlap by half, and the shares of tokens whose likeliest successor, and whose expert in each layer, stayed the same. That takes both models in memory.",
    "lola help data tells what texts may look like.",
  ],
  async run(context): Promise<Quantized> {
    const chosen = await quantizationChoices(context);
    const { quantizeInto } = await import("../quantize-run.ts");
    return quantizeInto(chosen);
  },
  show: showQuantized,
});
