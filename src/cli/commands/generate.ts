/** `lola generate`: continues a text. */
import { LolaError } from "../../base/errors.ts";
import { engineFlags, modelFlag, sessionFlags } from "../flags.ts";
import { loadOn, openNamed, sessionOptions } from "../model.ts";
import { offloadFlags } from "../offload.ts";
import { fitPrompt, readPrompt } from "../prompt.ts";
import { type Generation, generateSamples, samplingOf } from "../samples.ts";
import { defineCommand } from "../table.ts";

export const generate = defineCommand({
  name: "generate",
  summary: "continues a text",
  examples: [
    { line: 'lola generate "All human beings"', doc: "continue a text with the built-in model" },
    { line: "lola generate -m lola_v1-q4 --memory 3GiB --lang swa Habari", doc: "a model larger than memory" },
    { line: "cat letter.txt | lola generate -m lola_v1 -n 400", doc: "continue piped text with a stored model" },
    {
      line: 'lola generate --greedy --json "Tous les" | jq -r .samples[0].text',
      doc: "the same text each time, as JSON",
    },
  ],
  args: [{ name: "prompt", doc: "text to continue; - is stdin", many: true }],
  flags: {
    file: { type: "text", value: "FILE", short: "f", doc: "prompt from a file", category: "Prompt", complete: "file" },
    promptIds: {
      type: "text",
      value: "IDS",
      doc: "token ids before the text of the prompt: 12,7,93",
      category: "Prompt",
    },
    truncate: {
      type: "choice",
      value: "END",
      choices: ["head", "tail"],
      doc: "cut this end off a prompt that is too long",
      category: "Prompt",
      setting: true,
    },
    echo: { type: "flag", doc: "write the prompt before the text", category: "Prompt" },
    maxTokens: {
      type: "integer",
      value: "N",
      short: "n",
      default: 256,
      min: 0,
      doc: "stop after so many tokens",
      category: "End of the text",
      setting: true,
    },
    stop: { type: "list", value: "TEXT", doc: "stop before this text", category: "End of the text" },
    temperature: {
      type: "float",
      value: "T",
      default: 0.8,
      min: 0,
      max: 100,
      doc: "below 1 more likely, above 1 more varied, 0 as --greedy",
      category: "Sampling",
      setting: true,
    },
    topK: {
      type: "integer",
      value: "K",
      default: 0,
      min: 0,
      doc: "choose among the K best tokens; 0 is off",
      category: "Sampling",
      setting: true,
    },
    topP: {
      type: "float",
      value: "P",
      default: 0.95,
      min: 0,
      max: 1,
      doc: "choose among the best with this share of probability; 1 is off",
      category: "Sampling",
      setting: true,
    },
    minP: {
      type: "float",
      value: "P",
      default: 0,
      min: 0,
      max: 1,
      doc: "leave out tokens below this share of the best one's probability; 0 is off",
      category: "Sampling",
      setting: true,
    },
    repetitionPenalty: {
      type: "float",
      value: "R",
      default: 1,
      min: 0.01,
      max: 100,
      doc: "above 1: tokens that were there before become less likely; 1 is off",
      category: "Sampling",
      setting: true,
    },
    seed: {
      type: "seed",
      value: "SEED",
      doc: "64-bit number; same seed, device and program: same text (default: chosen and told)",
      category: "Sampling",
      setting: true,
    },
    greedy: { type: "flag", doc: "always take the best token", category: "Sampling" },
    samples: { type: "integer", value: "N", default: 1, min: 1, doc: "write N texts", category: "Output" },
    logprobs: {
      type: "integer",
      value: "K",
      default: 0,
      min: 0,
      max: 100,
      doc: "tell the K best tokens at each step (--json, --jsonl)",
      category: "Output",
    },
    jsonl: { type: "flag", doc: "print events, one JSON object a line", category: "Output" },
    stream: { type: "negated", doc: "write each text when it is finished", category: "Output" },
    ...modelFlag,
    ...engineFlags,
    ...sessionFlags,
    ...offloadFlags,
  },
  notes: [
    "The prompt is the file, then stdin, then the arguments, joined by blanks; the last line end of a file or of stdin is left out. An empty argument starts a new document.",
    "Text is written exactly as generated, and ends with a line end. Several texts are set apart by an empty line; --jsonl keeps them apart for programs.",
    "lola help json tells what --json and --jsonl print.",
  ],
  async run(context): Promise<Generation | undefined> {
    const { flags, notes, origins } = context;
    if (flags.greedy && origins.get("temperature") === "command line" && flags.temperature > 0) {
      throw new LolaError(
        "usage",
        `--greedy and --temperature ${flags.temperature} contradict each other`,
        "one of them",
      );
    }
    if (context.json && flags.jsonl)
      throw new LolaError("usage", "--json and --jsonl are two forms of output", "one of them");
    if (flags.logprobs > 0 && !context.json && !flags.jsonl)
      throw new LolaError("usage", "--logprobs has no place in plain text", "--json or --jsonl with it");
    const prompt = await readPrompt({ args: context.args, file: flags.file, ids: flags.promptIds }, notes);
    const source = await openNamed(flags.model, notes);
    const { tokenizerOf } = await import("../../model/open.ts");
    const tokenizer = tokenizerOf(source);
    const all = [...prompt.ids, ...tokenizer.encode(prompt.text)];
    const { context: positions = source.config.context } = sessionOptions(source, flags);
    const ids = fitPrompt(all, { context: positions, ...flags });
    if (ids.length < all.length) notes.warn(`prompt cut from ${all.length} to ${ids.length} tokens`);
    const sampling = samplingOf(flags);
    const loaded = await loadOn(source, tokenizer, flags, notes);
    try {
      notes.tell(sampling.temperature > 0 ? `${loaded.why}; seed ${sampling.seed}` : loaded.why);
      return await generateSamples(context, loaded, ids, sampling);
    } finally {
      loaded.model.device.close();
      source.close();
    }
  },
  // The text itself has been written as it came: only --json has something left to print.
  show: () => "",
});
