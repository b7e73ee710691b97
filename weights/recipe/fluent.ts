/** Reads Mozilla's Fluent files (.ftl): https://projectfluent.org; enough of the grammar to get the text out. */
import type { Message } from "./message.ts";

/** Attributes that hold no language. */
const mute = /^(?:style|accesskey|commandkey|key\w*|.*-accesskey|.*-key)$/;

/**
 * @param terms texts of `{ -brand-name }` references; this file's own terms are added to it, so give brand files first
 * @returns messages and their attributes (`id` and `id.attribute`) in file order. Of a choice (`{ $n -> … }`) the default
 *   variant is taken, a known term is replaced by its text, and what is only known when the program runs stays a
 *   placeable like `{$n}`
 */
export function parseFluent(source: string, terms: Map<string, string>): Message[] {
  const messages: Message[] = [];
  for (const entry of entriesOf(source)) {
    const [id, ...rest] = entry;
    const parts = rest.join("\n").split(/^[ \t]+\.([\w-]+)[ \t]*=/m);
    const value = textOf(parts[0]!, terms);
    if (id!.startsWith("-")) terms.set(id!, value);
    else if (value) messages.push({ key: id!, text: value });
    for (let i = 1; i < parts.length; i += 2) {
      const text = textOf(parts[i + 1]!, terms);
      if (text && !mute.test(parts[i]!)) messages.push({ key: `${id}.${parts[i]}`, text });
    }
  }
  return messages;
}

/** Each entry as its identifier and its lines; comments and blank lines gone. */
function entriesOf(source: string): string[][] {
  const entries: string[][] = [];
  for (const line of source.split(/\r?\n/)) {
    if (line.startsWith("#") || !line.trim()) continue;
    const start = /^(-?[A-Za-z][\w-]*)[ \t]*=(.*)$/.exec(line);
    if (start) entries.push([start[1]!, start[2]!]);
    else entries.at(-1)?.push(line);
  }
  return entries;
}

/** The text of a pattern: its lines joined, its placeables resolved from the innermost outwards. */
function textOf(pattern: string, terms: ReadonlyMap<string, string>): string {
  let text = pattern
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .join("\n");
  for (let depth = 0; depth < 8; depth++) {
    // Resolved placeables are kept apart from open ones by two characters of the private use area.
    const next = text.replace(/\{([^{}]*)\}/g, (_, inner: string) => placeable(inner.trim(), terms));
    if (next === text) break;
    text = next;
  }
  return text.replaceAll("\ue000", "{").replaceAll("\ue001", "}").replace(/\n/g, " ").trim();
}

function placeable(inner: string, terms: ReadonlyMap<string, string>): string {
  const choice = /^[^"]*?->([\s\S]*)$/.exec(inner);
  if (choice) {
    const variant = /\*\s*\[[^\]]*\]([\s\S]*?)(?=\n\s*\[|$)/.exec(choice[1]!);
    return variant ? variant[1]!.trim() : "";
  }
  const literal = /^"(.*)"$/.exec(inner);
  if (literal) return literal[1]!;
  const term = terms.get(/^-[\w-]+/.exec(inner)?.[0] ?? "");
  return term ?? `\ue000${inner}\ue001`;
}
