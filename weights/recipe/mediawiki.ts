/** Reads MediaWiki's message files (JSON, one a language) and takes wikitext down to the text that a reader sees. */
import type { Message } from "./message.ts";

/** @returns the messages of an `i18n/LANGUAGE.json` in file order; `@metadata` is left out */
export function parseMediawiki(source: string): Message[] {
  const messages: Message[] = [];
  const visit = (value: unknown, key: string) => {
    if (typeof value === "string") messages.push({ key, text: value });
    else if (value && typeof value === "object") {
      for (const [name, child] of Object.entries(value)) if (name !== "@metadata") visit(child, `${key}/${name}`);
    }
  };
  visit(JSON.parse(source), "");
  return messages;
}

/**
 * Wikitext as it reads: links by their label, plurals by the form for "many", genders by the first form, quotes, lists
 * and headings without their signs. What is only known on a wiki page becomes a parameter, `$1`.
 */
export function readWikitext(text: string): string {
  let now = text;
  // Links before choices, and both from the innermost outwards: each may hold the other.
  for (let depth = 0; depth < 4; depth++) {
    const next = now
      .replace(/\[\[(?:[^[\]|]*\|)?:?([^[\]|]*)\]\]/g, "$1")
      .replace(/\{\{\s*PLURAL\s*:[^{}|]*\|([^{}]*)\}\}/gi, (_, forms: string) =>
        forms.split("|").at(-1)!.replace(/^\d+=/, ""),
      )
      .replace(/\{\{\s*GENDER\s*:[^{}|]*\|([^{}|]*)[^{}]*\}\}/gi, "$1")
      .replace(/\{\{\s*GRAMMAR\s*:[^{}|]*\|([^{}]*)\}\}/gi, "$1")
      .replace(/\{\{\s*(?:SITENAME|ns:project)\s*\}\}/gi, "Wiki")
      .replace(/\{\{[^{}]*\}\}/g, "$$1")
      .replace(/\[(?:https?:|\/\/|mailto:|\$\d)\S*\s+([^[\]]*)\]/g, "$1");
    if (next === now) break;
    now = next;
  }
  return now.replace(/'{2,5}/g, "").replace(/^[*#:;=]+\s*|\s*=+$/gm, "");
}
