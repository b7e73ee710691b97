/** The kinds of examples that rows may be, and which one the keys of a row tell. */
import { DataError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";

/**
 * text: a document. completion: prompt and answer, verbatim. alpaca: an instruction, perhaps an input, and the output.
 * messages, conversations: turns, as OpenAI and as ShareGPT write them.
 */
export type Kind = "messages" | "conversations" | "alpaca" | "completion" | "text";

/** What a kind needs, and what people call it. The most telling is first: a row with the keys of several is of that. */
const kinds: Record<Kind, { needs: readonly string[]; name: string }> = {
  messages: { needs: ["messages"], name: "messages" },
  conversations: { needs: ["conversations"], name: "ShareGPT conversations" },
  alpaca: { needs: ["instruction", "output"], name: "Alpaca instructions" },
  completion: { needs: ["prompt", "completion"], name: "prompts with completions" },
  text: { needs: ["text"], name: "texts" },
};
const names = Object.keys(kinds) as Kind[];

/** All keys that mean something. */
export const knownKeys: readonly string[] = [...names.flatMap((kind) => kinds[kind].needs), "input", "lang"];

/** Name of a kind, in the plural, for people. */
export function kindName(kind: Kind): string {
  return kinds[kind].name;
}

/** The kind that these keys tell, if they do. */
export function findKind(keys: readonly string[]): Kind | undefined {
  return names.find((kind) => kinds[kind].needs.every((key) => keys.includes(key)));
}

/**
 * The kind of a row, which is that of its file.
 * @param where names file and line
 * @param expected kind of the rows before
 * @throws DataError data.kind for a row of another kind; data.keys for one of none, with the nearest and what it lacks
 */
export function kindOf(keys: readonly string[], where: () => string, expected?: Kind): Kind {
  if (expected && kinds[expected].needs.every((key) => keys.includes(key))) return expected;
  const found = findKind(keys);
  if (found && expected) {
    const says = `${kinds[found].name} in a file of ${kinds[expected].name}`;
    throw new DataError("data.kind", `${where()}: ${says}; keys: ${listed(keys)}`, "one kind of example in each file");
  }
  if (found) return found;
  throw new DataError("data.keys", ...unknown(keys, where, expected ?? nearestKind(keys)));
}

/** @returns message and hint */
function unknown(keys: readonly string[], where: () => string, near: Kind | undefined): [string, string] {
  const found = `keys: ${listed(keys)}`;
  if (!near) {
    const known = names.map((kind) => quoted(kinds[kind].needs)).join(", or ");
    return [`${where()}: no known kind of example; ${found}`, `rows with ${known}`];
  }
  const missing = kinds[near].needs.filter((key) => !keys.includes(key));
  const says = `${where()}: no ${quoted(missing)}, as ${kinds[near].name} have; ${found}`;
  const meant = misspelt(missing[0]!, keys);
  return [says, meant === undefined ? `rows with ${quoted(kinds[near].needs)}` : `"${missing[0]}" for "${meant}"`];
}

/** The kind of which most is there, misspelt keys counting a little less. */
function nearestKind(keys: readonly string[]): Kind | undefined {
  const score = (key: string) => (keys.includes(key) ? 1 : misspelt(key, keys) === undefined ? 0 : 0.9);
  const scores = names.map((kind) => {
    const { needs } = kinds[kind];
    return { kind, score: needs.reduce((sum, key) => sum + score(key), 0) / needs.length };
  });
  const best = scores.reduce((a, b) => (b.score > a.score ? b : a));
  return best.score > 0 ? best.kind : undefined;
}

/** A key that was probably meant to be this one. */
function misspelt(key: string, keys: readonly string[]): string | undefined {
  return nearest(
    key,
    keys.filter((other) => !knownKeys.includes(other)),
  );
}

/** Keys for a message: the first ten. */
function listed(keys: readonly string[]): string {
  const some = keys.slice(0, 10).map((key) => (key.length > 40 ? `${key.slice(0, 40)}…` : key));
  return `${some.join(", ") || "none"}${keys.length > 10 ? ", …" : ""}`;
}

function quoted(keys: readonly string[]): string {
  return keys.map((key) => `"${key}"`).join(" and ");
}
