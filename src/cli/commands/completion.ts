/** `lola completion`: scripts that let a shell complete commands, flags and models. */
import { LolaError } from "../../base/errors.ts";
import { nearest } from "../../base/nearest.ts";
import { completionScript, type Shell, shells } from "../completion.ts";
import { required } from "../context.ts";
import { defineCommand } from "../table.ts";

export const completion = defineCommand({
  name: "completion",
  summary: "writes a completion script for a shell",
  examples: [
    { line: "source <(lola completion bash)", doc: "bash, for this session; or add the line to ~/.bashrc" },
    { line: "lola completion zsh > ~/.zfunc/_lola", doc: "zsh, where ~/.zfunc is in fpath" },
    { line: "lola completion fish > ~/.config/fish/completions/lola.fish", doc: "fish" },
  ],
  args: [{ name: "shell", doc: shells.join(", ") }],
  flags: {},
  async run({ args, out }) {
    const name = required(args[0], "the shell", "lola completion bash");
    if (!shells.includes(name as Shell)) {
      const meant = nearest(name, shells) ?? "bash";
      throw new LolaError("usage", `no completion for "${name}": ${shells.join(", ")}`, `lola completion ${meant}`);
    }
    const { commands } = await import("./index.ts");
    out.write(completionScript(name as Shell, commands));
    return undefined;
  },
});
