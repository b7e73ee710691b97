/** Help texts, from the commands themselves: examples first, 80 columns at most. */
import type { Style } from "./style.ts";
import { type Command, type Flag, type Flags, flagsOf, longName, takesValue, usage } from "./table.ts";
import { topics } from "./topics.ts";

const width = 80;

/** Words filled into lines that begin with `indent`; the first may begin otherwise. */
export function fill(text: string, indent: string, first = indent): string {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (!empty && Bun.stringWidth(line) + 1 + Bun.stringWidth(word) > width) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += (empty ? "" : " ") + word;
    empty = false;
  }
  return [...lines, line].join("\n");
}

/** Pairs as two columns, the right one filled; a left side that is too long gets a line to itself. */
function pairs(rows: readonly (readonly [string, string])[], left: number): string {
  const indent = " ".repeat(left);
  return rows
    .map(([name, doc]) =>
      name.length + 4 > left ? `  ${name}\n${fill(doc, indent)}` : fill(doc, indent, `  ${name}`.padEnd(left)),
    )
    .join("\n");
}

/** `-m, --model MODEL` */
function synopsis(key: string, flag: Flag): string {
  const short = flag.short ? `-${flag.short}, ` : "    ";
  return short + longName(key, flag) + (takesValue(flag) ? ` ${flag.value}` : "");
}

/** What a flag does, with its choices, default and that it repeats. */
export function describe(flag: Flag): string {
  const facts: string[] = [];
  if (flag.type === "choice") facts.push(flag.choices.join(", "));
  if (flag.type === "list") facts.push("may be repeated");
  if ("default" in flag) facts.push(`default ${flag.default}`);
  return facts.length > 0 ? `${flag.doc} (${facts.join("; ")})` : flag.doc;
}

/** Flags under their headings, in the order of the table. */
export function byCategory(flags: Flags): [string, [string, Flag][]][] {
  const groups = new Map<string, [string, Flag][]>();
  for (const [key, flag] of Object.entries(flags)) {
    const heading = flag.category ?? "Flags";
    groups.set(heading, [...(groups.get(heading) ?? []), [key, flag]]);
  }
  return [...groups];
}

function examplesOf(command: Command): string {
  return command.examples.map(({ line, doc }) => `  # ${doc}\n  ${line}`).join("\n");
}

/** `lola COMMAND --help` */
export function commandHelp(command: Command, style: Style): string {
  const section = (title: string, body: string) => `${style.bold(title)}\n${body}`;
  const parts = [fill(`${command.summary}.`, ""), section("Examples", examplesOf(command)), `Usage: ${usage(command)}`];
  if (command.actions) {
    const name = (action: string) => (action === command.usual ? `${action} (default)` : action);
    parts.push(
      section(
        "Actions",
        pairs(
          Object.entries(command.actions).map(([a, doc]) => [name(a), doc]),
          20,
        ),
      ),
    );
  }
  if (command.args.length > 0) {
    parts.push(
      section(
        "Arguments",
        pairs(
          command.args.map((a) => [a.name.toUpperCase(), a.doc]),
          20,
        ),
      ),
    );
  }
  for (const [heading, flags] of byCategory(flagsOf(command))) {
    parts.push(
      section(
        heading,
        pairs(
          flags.map(([key, flag]) => [synopsis(key, flag), describe(flag)]),
          34,
        ),
      ),
    );
  }
  for (const note of command.notes ?? []) parts.push(fill(note, ""));
  return `${parts.join("\n\n")}\n`;
}

/** `lola --help` */
export function overview(commands: readonly Command[], style: Style): string {
  const section = (title: string, body: string) => `${style.bold(title)}\n${body}`;
  const examples = commands.flatMap((c) => c.examples.slice(0, 1)).slice(0, 4);
  return `${[
    fill("Runs massively multilingual mixture-of-experts language models on any GPU, or on the CPU.", ""),
    section("Examples", examples.map(({ line, doc }) => `  # ${doc}\n  ${line}`).join("\n")),
    "Usage: lola COMMAND [flags]",
    section(
      "Commands",
      pairs(
        commands.map((c) => [c.name, c.summary]),
        18,
      ),
    ),
    section(
      "Topics (lola help TOPIC)",
      pairs(
        topics.map((t) => [t.name, t.summary]),
        18,
      ),
    ),
    fill("lola COMMAND --help shows the flags and examples of a command; lola --version the version.", ""),
  ].join("\n\n")}\n`;
}
