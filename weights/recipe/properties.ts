/** Reads Java-style .properties files as Mozilla writes them: `key = value`, `#` comments, `\uXXXX` and `\n` escapes. */
import type { Message } from "./message.ts";

/** @returns the messages in file order; of a list of plural forms (`#1 day;#1 days`) the last form */
export function parseProperties(source: string): Message[] {
  const messages: Message[] = [];
  for (const line of source.replace(/\\\r?\n\s*/g, "").split(/\r?\n/)) {
    const match = /^\s*([^#!\s=:][^=:]*?)\s*[=:]\s*(.*)$/.exec(line);
    if (!match) continue;
    const value = match[2]!.replace(/\\(?:u([\da-fA-F]{4})|(.))/g, (_, code?: string, letter?: string) =>
      code ? String.fromCharCode(Number.parseInt(code, 16)) : letter === "n" ? "\n" : letter === "t" ? " " : letter!,
    );
    const text = /#\d/.test(value) ? value.split(";").at(-1)! : value;
    messages.push({ key: match[1]!, text });
  }
  return messages;
}
