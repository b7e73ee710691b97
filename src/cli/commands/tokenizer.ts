/** `lola tokenizer`: text to token ids and back, what a tokenizer is made of, and making one. */
import { LolaError } from "../../base/errors.ts";
import { dataFlags, modelFlag } from "../flags.ts";
import { readInput } from "../input.ts";
import { openNamed } from "../model.ts";
import { parseIds } from "../prompt.ts";
import { bytes, grouped, table } from "../style.ts";
import { defineCommand } from "../table.ts";
import { showTrained, type TrainedTokenizer, trainInto } from "../train-tokenizer.ts";

interface Encoded {
  ids: number[];
  tokens: string[];
}
interface Decoded {
  text: string;
}
interface Info {
  model: string;
  tokens: number;
  vocabulary: number;
  merges: number;
  longestBytes: number;
  specials: { id: number; content: string; role?: string }[];
}

export const tokenizer = defineCommand({
  name: "tokenizer",
  summary: "turns text into token ids and back, and learns how from text",
  examples: [
    { line: 'lola tokenizer encode "All human beings"', doc: "text to ids" },
    { line: "lola tokenizer encode < text.txt | wc -l", doc: "count the tokens of a file: one id a line" },
    { line: "lola tokenizer decode 12,7,93", doc: "ids to text" },
    { line: "lola tokenizer train corpus/ -o tokenizer/", doc: "learn one from swa.txt, yor.jsonl, deu/..." },
  ],
  actions: {
    encode: "text to ids, one a line in a pipe, with the text of each in a terminal",
    decode: "ids to text",
    info: "size, merges and special tokens",
    train: "learn one from text files, JSONL files, folders of them, or - for stdin",
  },
  args: [{ name: "input", doc: "text, ids or data; stdin when there is none or -", many: true, complete: "file" }],
  flags: {
    ...modelFlag,
    file: { type: "text", value: "FILE", short: "f", doc: "read the input from a file", complete: "file" },
    specials: { type: "negated", doc: "treat <|endoftext|> and its like as ordinary text" },
    output: {
      type: "text",
      value: "DIR",
      short: "o",
      doc: "folder to make; must be empty or absent",
      category: "Training",
      complete: "directory",
    },
    vocabulary: {
      type: "integer",
      value: "N",
      default: 32768,
      min: 262,
      max: 4194304,
      doc: "tokens in all, six special ones and 256 bytes among them",
      category: "Training",
    },
    minFrequency: {
      type: "float",
      value: "N",
      default: 2,
      min: 1,
      doc: "occurrences below which no token is made, in the language that counts most",
      category: "Training",
    },
    longest: {
      type: "integer",
      value: "BYTES",
      default: 48,
      min: 2,
      max: 1024,
      doc: "longest token",
      category: "Training",
    },
    ...dataFlags,
  },
  notes: [
    "No token is added before or after the text. Ids may be separated by commas, blanks or line ends.",
    "lola help data tells what files train takes. Bytes per token are measured on documents it does not learn from.",
  ],
  async run(context): Promise<Encoded | Decoded | Info | TrainedTokenizer | undefined> {
    const { action, args, flags, json, out } = context;
    if (action === "train") return trainInto(context);
    const source = await openNamed(flags.model, context.notes);
    const { tokenizerOf } = await import("../../model/open.ts");
    const tokenizer = tokenizerOf(source);
    source.close();
    if (action === "info") {
      if (args.length > 0) throw new LolaError("usage", "lola tokenizer info takes no input", "lola tokenizer info");
      const { data } = tokenizer;
      const roles = Object.entries(data.roles);
      let longestBytes = 0;
      for (let id = 0; id < tokenizer.size; id++) longestBytes = Math.max(longestBytes, tokenizer.bytes(id).length);
      return {
        model: source.label,
        tokens: tokenizer.size,
        vocabulary: source.config.vocabulary,
        merges: data.merges.length,
        longestBytes,
        specials: data.added.map(({ id, content }) => {
          const role = roles.find(([, name]) => name === content)?.[0];
          return role ? { id, content, role } : { id, content };
        }),
      };
    }
    const input = await readInput(args, flags.file, context.notes);
    if (input === undefined) {
      throw new LolaError(
        "usage",
        `nothing to ${action}`,
        `lola tokenizer ${action} ${action === "encode" ? '"text"' : "12,7"}`,
      );
    }
    if (action === "decode") {
      const text = tokenizer.decode(parseIds(input));
      if (json) return { text };
      out.model(text);
      if (out.terminal && !text.endsWith("\n")) out.write("\n");
      return undefined;
    }
    const ids = [...tokenizer.encode(input, { specials: flags.specials })];
    if (json || out.terminal) return { ids, tokens: ids.map((id) => tokenizer.decode([id])) };
    // Written in pieces: one id a line, for any length of text.
    for (let i = 0; i < ids.length; i += 4096) out.write(`${ids.slice(i, i + 4096).join("\n")}\n`);
    return undefined;
  },
  show(result) {
    if ("ids" in result) return table(result.ids.map((id, i) => [id, JSON.stringify(result.tokens[i])]));
    if ("text" in result) return result.text;
    if ("folder" in result) return showTrained(result);
    return [
      table([
        ["model", result.model],
        ["tokens", grouped(result.tokens)],
        ["rows of the embedding", grouped(result.vocabulary)],
        ["merges", grouped(result.merges)],
        ["longest token", bytes(result.longestBytes)],
      ]),
      table(result.specials.map(({ id, content, role }) => [id, content, role ?? ""])),
    ].join("\n\n");
  },
});
