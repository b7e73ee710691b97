/** `lola help`: a command, a topic, or all of it as a man page or Markdown. */
import { LolaError } from "../../base/errors.ts";
import { nearest } from "../../base/nearest.ts";
import { commandHelp, overview } from "../help.ts";
import { manPage } from "../man.ts";
import { commandList } from "../markdown.ts";
import { defineCommand } from "../table.ts";
import { topics } from "../topics.ts";

export const help = defineCommand({
  name: "help",
  summary: "explains a command or a topic",
  examples: [
    { line: "lola help generate", doc: "a command" },
    { line: "lola help exit-codes", doc: "a topic" },
    { line: "lola help --man | man -l -", doc: "everything, as a man page" },
  ],
  args: [{ name: "topic", doc: `a command, or ${topics.map((t) => t.name).join(", ")}` }],
  flags: {
    man: { type: "flag", doc: "write the man page of the whole program" },
    markdown: { type: "flag", doc: "write the list of commands as Markdown" },
  },
  async run({ args, flags, out }) {
    const { commands } = await import("./index.ts");
    const [name] = args;
    const command = commands.find((c) => c.name === name);
    const topic = topics.find((t) => t.name === name);
    if (flags.man) out.write(manPage(commands));
    else if (flags.markdown) out.write(commandList(commands));
    else if (name === undefined) out.write(overview(commands, out.style));
    else if (command) out.write(commandHelp(command, out.style));
    else if (topic) out.write(`${topic.text}\n`);
    else {
      const meant = nearest(
        name,
        [...commands, ...topics].map((c) => c.name),
      );
      throw new LolaError("usage", `no help on "${name}"`, meant ? `lola help ${meant}` : "lola help");
    }
    return undefined;
  },
});
