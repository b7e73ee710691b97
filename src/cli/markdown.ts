/** The README's list of commands. A test holds both together. */
import type { Command } from "./table.ts";

/** A table of commands, then each one's examples; flags are in `lola COMMAND --help`. */
export function commandList(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }) => `| [\`${name}\`](#lola-${name}) | ${summary} |`);
  const sections = commands.map(({ name, examples }) => {
    const lines = examples.map(({ line, doc }) => `# ${doc}\n${line}`);
    return `### \`lola ${name}\`\n\n\`\`\`sh\n${lines.join("\n")}\n\`\`\``;
  });
  return `${[`| command | what it does |\n|---|---|\n${rows.join("\n")}`, ...sections].join("\n\n")}\n`;
}
