/** The README's list of commands. A test holds both together. */
import { byCategory, describe } from "./help.ts";
import { type Command, commonFlags, longName, takesValue, usage } from "./table.ts";

/** One section a command: usage, examples, flags (those that every command has are left out). */
export function commandList(commands: readonly Command[]): string {
  const summary = commands.map((c) => `| [\`${c.name}\`](#lola-${c.name}) | ${c.summary} |`);
  const sections = commands.map((command) => {
    const parts = [`### \`lola ${command.name}\``, `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`];
    const examples = command.examples.map(({ line, doc }) => `# ${doc}\n${line}`).join("\n");
    parts.push(`\`\`\`sh\n${examples}\n\`\`\``, `\`${usage(command)}\``);
    if (command.actions) {
      parts.push(
        Object.entries(command.actions)
          .map(([name, doc]) => `* \`${name}\`: ${doc}`)
          .join("\n"),
      );
    }
    for (const [, flags] of byCategory(command.flags)) {
      parts.push(
        flags
          .map(([key, flag]) => {
            const short = flag.short ? `\`-${flag.short}\`, ` : "";
            const value = takesValue(flag) ? ` ${flag.value}` : "";
            return `* ${short}\`${longName(key, flag)}${value}\`: ${describe(flag)}`;
          })
          .join("\n"),
      );
    }
    return parts.join("\n\n");
  });
  const common = Object.entries(commonFlags).map(([key, flag]) => `\`${longName(key, flag)}\` (${flag.doc})`);
  return `${[
    `| command | what it does |\n|---|---|\n${summary.join("\n")}`,
    `Every command takes ${common.join(", ")}.`,
    ...sections,
  ].join("\n\n")}\n`;
}
