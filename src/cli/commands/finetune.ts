/** `lola finetune`: a model adapted to examples. */
import { LolaError } from "../../base/errors.ts";
import type { Result } from "../finetune.ts";
import { finetuneChoices } from "../finetune-ask.ts";
import { finetuneFlags } from "../finetune-flags.ts";
import { showPlan, showPreview, showTuned } from "../finetune-show.ts";
import { defineCommand } from "../table.ts";

export const finetune = defineCommand({
  name: "finetune",
  summary: "adapts a model to examples: a language, a task",
  examples: [
    { line: "lola finetune alpaca.jsonl -o run/", doc: "an adapter of the built-in model for instructions" },
    { line: "lola finetune alpaca.jsonl --preview 3", doc: "what would be learnt of three of them" },
    { line: "lola finetune texts/ -m lola-q4.lola -o run/ --rank 8", doc: "an adapter of a quantized model" },
    { line: "lola finetune swa.txt -o run/ --only-experts auto", doc: "just the experts that these texts use" },
    {
      line: "lola finetune mlg.txt -o run/ && lola generate --adapter run/ Azo",
      doc: "a language, and what came of it",
    },
    { line: "lola finetune --resume run/", doc: "go on where it stopped, as if it never had" },
  ],
  args: [
    {
      name: "data",
      doc: "JSON, JSONL, CSV, TSV, Parquet, text, folders of them; - is stdin",
      many: true,
      complete: "file",
    },
  ],
  flags: finetuneFlags,
  notes: [
    "Rows are texts (text), prompts with answers (prompt, completion), Alpaca's instructions (instruction, input, output), messages (role, content) or ShareGPT conversations (from, value); lang names a row's language. The kind is told by the keys. Of prompts nothing is learnt unless --train-on-prompt says so.",
    "A run folder holds config.json, metrics.jsonl, speed.jsonl, report.html, checkpoints/last.lola (to go on from) and checkpoints/best.lola: what did best on the held-out examples, an adapter or, with --method full and experts, a model. An adapter belongs to the very model that it was made from. Signals do what they do in lola train.",
    "What is held out is measured before the first step, too. Rows hold several examples, one after the other, none cut.",
  ],
  async run(context): Promise<Result | undefined> {
    const { flags, json } = context;
    if (json && flags.jsonl) throw new LolaError("usage", "--json and --jsonl are two forms of output", "one of them");
    if (flags.resume !== undefined && flags.output !== undefined)
      throw new LolaError("usage", "--resume goes on in its own folder", "without -o");
    const chosen = await finetuneChoices(context);
    const { finetune: carryOut } = await import("../finetune.ts");
    const result = await carryOut(chosen);
    return flags.jsonl && "end" in result ? undefined : result;
  },
  show(result, style) {
    if ("previews" in result) return showPreview(result.previews, style);
    return "end" in result ? showTuned(result) : showPlan(result);
  },
});
