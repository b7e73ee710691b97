/** `lola chat`: a conversation. */
import { adapterFlag } from "../adapters.ts";
import { engineFlags, modelFlag, sessionFlags } from "../flags.ts";
import { offloadFlags } from "../offload.ts";
import { samplingFlags, samplingOf } from "../sampling.ts";
import { defineCommand } from "../table.ts";

export const chat = defineCommand({
  name: "chat",
  summary: "holds a conversation with a model that was tuned for it",
  examples: [
    { line: "lola chat --adapter run/", doc: "with what lola finetune made" },
    { line: 'lola chat -m assistant --system "Answer in Swahili."', doc: "a stored model, under an instruction" },
    { line: "lola chat -m base --template chat.yaml", doc: "a model that does not tell how it is talked to" },
    { line: "lola chat --adapter run/ < questions.txt > answers.txt", doc: "one turn a line; of one conversation" },
  ],
  args: [],
  flags: {
    system: { type: "text", value: "TEXT", doc: "what the conversation stands under", category: "Conversation" },
    template: {
      type: "text",
      value: "FILE",
      doc: "how turns are written: a file, or alpaca (default: as the adapter or the model was tuned)",
      category: "Conversation",
      complete: "file",
    },
    maxTokens: {
      type: "integer",
      value: "N",
      short: "n",
      default: 512,
      min: 1,
      doc: "cut an answer after so many tokens",
      category: "Conversation",
      setting: true,
    },
    jsonl: { type: "flag", doc: "print each turn and its answer as one JSON object", category: "Conversation" },
    ...samplingFlags,
    ...modelFlag,
    ...adapterFlag,
    ...engineFlags,
    ...sessionFlags,
    ...offloadFlags,
  },
  notes: [
    "In a terminal, /help lists the commands, Ctrl-C stops an answer, and twice at an empty line it leaves. A line that ends with \\ goes on in the next. In a pipe each line is a turn, and its answer is written before the next line is read; an empty line parts answers. What the model said before stays in its cache.",
    "Where the context is full, the oldest turns are forgotten, and that is told. FILE is YAML or JSON with a name and, under chat, three strings: opening, system (with {system} in it) and turn (with {user}).",
  ],
  async run(context): Promise<undefined> {
    const sampling = samplingOf(context);
    const { converse } = await import("../chat.ts");
    await converse(context, sampling);
    return undefined;
  },
});
