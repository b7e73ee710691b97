/** Lists as Python writes them, which the harness reads from rendered templates: `['Yes', "it's", 3]`. */

const item = /\s*(?:(['"])((?:\\.|(?!\1)[^\\])*)\1|(-?\d+(?:\.\d+)?))\s*(,|\])/sy;
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "\n": "" };

/** Its items, numbers as they are written; undefined for what is no list of strings and numbers. */
export function parseList(text: string): string[] | undefined {
  const opened = /^\s*\[/.exec(text);
  if (!opened) return undefined;
  const items: string[] = [];
  item.lastIndex = opened[0].length;
  if (/^\s*\]\s*$/.test(text.slice(item.lastIndex))) return items;
  for (;;) {
    const found = item.exec(text);
    if (!found) return undefined;
    items.push(found[3] ?? unescaped(found[2]!));
    const rest = text.slice(item.lastIndex).trim();
    if (found[4] === "]") return rest === "" ? items : undefined;
    if (rest === "]") return items;
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\s\S]))/g, (_, u, x, c) =>
    c === undefined
      ? String.fromCharCode(Number.parseInt(u ?? x, 16))
      : (escapes[c] ?? (/['"\\/]/.test(c) ? c : `\\${c}`)),
  );
}
