/** `lola tokenizer`: text to token ids and back, and what a tokenizer is made of. */
import { LolaError } from "../../base/errors.ts";
import { modelFlag } from "../flags.ts";
import { readInput } from "../input.ts";
import { openNamed } from "../model.ts";
import { parseIds } from "../prompt.ts";
import { bytes, grouped, table } from "../style.ts";
import { defineCommand } from "../table.ts";

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
  summary: "turns text into token ids and back",
  examples: [
    { line: 'lola tokenizer encode "All human beings"', doc: "text to ids" },
    { line: "lola tokenizer encode < text.txt | wc -l", doc: "count the tokens of a file: one id a line" },
    { line: "lola tokenizer decode 12,7,93", doc: "ids to text" },
  ],
  actions: {
    encode: "text to ids, one a line in a pipe, with the text of each in a terminal",
    decode: "ids to text",
    info: "size, merges and special tokens",
  },
  args: [{ name: "input", doc: "text or ids; stdin when there is none or -", many: true }],
  flags: {
    ...modelFlag,
    file: { type: "text", value: "FILE", short: "f", doc: "read the input from a file", complete: "file" },
    specials: { type: "negated", doc: "treat <|endoftext|> and its like as ordinary text" },
  },
  notes: ["No token is added before or after the text. Ids may be separated by commas, blanks or line ends."],
  async run(context): Promise<Encoded | Decoded | Info | undefined> {
    const { action, args, flags, json, out } = context;
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
