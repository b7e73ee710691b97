/** `lola train`: a model from text. */
import { LolaError } from "../../base/errors.ts";
import { presetNames, presets } from "../../model/presets.ts";
import { defineCommand } from "../table.ts";
import { trainingChoices } from "../train-ask.ts";
import { trainFlags } from "../train-flags.ts";
import { type Plan, showResult, type Training } from "../train-show.ts";

export const train = defineCommand({
  name: "train",
  summary: "makes a model from text",
  examples: [
    { line: "lola train corpus/ -o run/", doc: "a small model of swa.txt, yor.jsonl, deu/..., with its own tokenizer" },
    { line: "lola train corpus/ -o run/ --preset mini --tokens 50M", doc: "larger, and for longer" },
    { line: "lola train --resume run/", doc: "go on where it stopped, as if it never had" },
    { line: "lola train corpus/ --preset small --dry-run", doc: "what it would take" },
    { line: "zcat news.jsonl.gz | lola train - -o run/ -m run1/ --lr 1e-4", doc: "piped text, from a model's weights" },
  ],
  args: [{ name: "data", doc: "text files, JSONL files, folders of them; - is stdin", many: true, complete: "file" }],
  flags: trainFlags,
  notes: [
    `Presets: ${presetNames.map((name) => `${name} (${presets[name].doc})`).join("; ")}. Every size and setting of one can be given by itself.`,
    "A run folder holds config.json, metrics.jsonl, speed.jsonl, checkpoints/last.lola and best.lola, and report.html, written with each checkpoint: curves, languages, experts. The first Ctrl-C (SIGINT; SIGTERM, SIGUSR1) finishes the step, saves and ends with 130 (143); a second one leaves at once with the last checkpoint as it was. SIGUSR2 saves and goes on.",
    "lola help data tells what data may look like. In a pipe, a line on stderr tells of each validation; --quiet leaves it out.",
  ],
  async run(context): Promise<Plan | Training | undefined> {
    const { flags, json } = context;
    if (json && flags.jsonl) throw new LolaError("usage", "--json and --jsonl are two forms of output", "one of them");
    if (flags.resume !== undefined && flags.output !== undefined)
      throw new LolaError("usage", "--resume goes on in its own folder", "without -o");
    const chosen = await trainingChoices(context);
    const { train: carryOut } = await import("../train.ts");
    const result = await carryOut(chosen);
    return flags.jsonl && !flags.dryRun ? undefined : result;
  },
  show: showResult,
});
