/** `lola generate`: continues a text. */
import { LolaError } from "../../base/errors.ts";
import { adapterFlag, openAdapted } from "../adapters.ts";
import type { Context } from "../context.ts";
import { engineFlags, modelFlag, sessionFlags } from "../flags.ts";
import { loadOn, sessionOptions } from "../model.ts";
import { offloadFlags } from "../offload.ts";
import { fitPrompt, readPrompt } from "../prompt.ts";
import { type Generation, generateSamples } from "../samples.ts";
import { samplingFlags, samplingOf } from "../sampling.ts";
import { defineCommand, kebab } from "../table.ts";

/** What continues a text, and has no place in a conversation. */
const ofTexts = ["json", "file", "promptIds", "truncate", "echo", "stop", "samples", "logprobs", "stream"];

/** @throws LolaError "usage" for a flag that --chat has no use for */
function refuseIn({ origins }: Pick<Context, "origins">): void {
  const given = ofTexts.find((flag) => origins.get(flag) === "command line");
  if (given === undefined) return;
  const name = given === "stream" ? "no-stream" : kebab(given);
  throw new LolaError("usage", `--${name} has no place in a conversation`, "lola help chat lists what has");
}

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
    chat: { type: "flag", doc: "hold a conversation that begins with the prompt, as lola chat", category: "Prompt" },
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
    ...samplingFlags,
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
    ...adapterFlag,
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
    const { flags, notes } = context;
    const sampling = samplingOf(context);
    if (flags.chat) {
      refuseIn(context);
      const { converse } = await import("../chat.ts");
      const words = context.args.filter((word) => word !== "-").join(" ");
      await converse(context, sampling, words === "" ? undefined : words);
      return undefined;
    }
    if (context.json && flags.jsonl)
      throw new LolaError("usage", "--json and --jsonl are two forms of output", "one of them");
    if (flags.logprobs > 0 && !context.json && !flags.jsonl)
      throw new LolaError("usage", "--logprobs has no place in plain text", "--json or --jsonl with it");
    const prompt = await readPrompt({ args: context.args, file: flags.file, ids: flags.promptIds }, notes);
    const { source, adapters, close } = await openAdapted(flags.model, flags.adapter, notes);
    const { tokenizerOf } = await import("../../model/open.ts");
    const { prefillRows } = await import("../../model/session.ts");
    const tokenizer = tokenizerOf(source);
    const all = [...prompt.ids, ...tokenizer.encode(prompt.text)];
    const { context: positions = source.config.context } = sessionOptions(source, flags);
    const ids = fitPrompt(all, { context: positions, ...flags });
    if (ids.length < all.length) notes.warn(`prompt cut from ${all.length} to ${ids.length} tokens`);
    // Room for no more than prompt and text can take, but for a whole run of the prefill, so that all are cut alike.
    const ctx = flags.ctx ?? Math.min(positions, Math.max(prefillRows, ids.length + flags.maxTokens));
    const loaded = await loadOn(source, tokenizer, { ...flags, ctx }, notes, adapters);
    try {
      notes.tell(sampling.temperature > 0 ? `${loaded.why}; seed ${sampling.seed}` : loaded.why);
      return await generateSamples(context, loaded, adapters, ids, sampling);
    } finally {
      loaded.model.device.close();
      close();
    }
  },
  // The text itself has been written as it came: only --json has something left to print.
  show: () => "",
});
