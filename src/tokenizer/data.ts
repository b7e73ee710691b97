/** A tokenizer as plain data: what a `.lola` header stores, and the one function that decides whether it is sound. */

import { DataError } from "../base/errors.ts";
import { byteCharacters, spelledBytes } from "./alphabet.ts";
import { MOST_TOKENS } from "./bpe.ts";

/** A token that is cut out of text before anything else, whole. */
export interface AddedToken {
  id: number;
  content: string;
  /** Control token, left out of text by `skipSpecials`; otherwise ordinary text that is never split. */
  special: boolean;
  /** Takes the whitespace on its left, or right, with it. */
  lstrip: boolean;
  rstrip: boolean;
}

/** Names that Hugging Face files give to added tokens. */
export const roleNames = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
export type Role = (typeof roleNames)[number];

/** Byte-level BPE as of GPT-2 (spec §2). Ids are positions in `vocabulary`. */
export interface TokenizerData {
  /** id → spelling in GPT-2's byte alphabet; for an added token its content as it is. */
  vocabulary: string[];
  /** rank → the spellings of the two tokens merged, with a space between. */
  merges: string[];
  added: AddedToken[];
  /** Which added token's content plays which role, for export; generation takes its ids from the model's config. */
  roles: Partial<Record<Role, string>>;
  /** Text that does not begin with a space is given one. */
  addPrefixSpace: boolean;
}

/** An object read from a file, its fields not yet looked at. */
export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function requireList(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new DataError("tokenizer.shape", `tokenizer: ${name} is not a list`);
  if (value.length > MOST_TOKENS)
    throw new DataError(
      "tokenizer.size",
      `tokenizer: ${name} has ${value.length} entries, the limit is ${MOST_TOKENS}`,
    );
  return value;
}

function resolveIds(vocabulary: readonly unknown[]): Map<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < vocabulary.length; id++) {
    const spelling = vocabulary[id];
    if (typeof spelling !== "string" || spelling === "")
      throw new DataError("tokenizer.hole", `tokenizer: id ${id} of ${vocabulary.length} has no token`);
    const first = ids.get(spelling);
    if (first !== undefined)
      throw new DataError("tokenizer.duplicate", `tokenizer: ids ${first} and ${id} are both ${show(spelling)}`);
    ids.set(spelling, id);
  }
  return ids;
}

function resolveMerges(merges: readonly unknown[], ids: ReadonlyMap<string, number>): Int32Array {
  const triples = new Int32Array(3 * merges.length);
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank];
    const [left, right, rest] = typeof merge === "string" ? merge.split(" ") : [];
    if (!left || !right || rest !== undefined)
      throw new DataError("tokenizer.merge", `tokenizer: merge ${rank} is not two tokens: ${show(merge)}`);
    const parts = [left, right, left + right];
    for (let part = 0; part < 3; part++) {
      const id = ids.get(parts[part]!);
      if (id === undefined)
        throw new DataError(
          "tokenizer.merge",
          `tokenizer: merge ${rank}: ${show(parts[part])} is not in the vocabulary`,
        );
      triples[3 * rank + part] = id;
    }
  }
  return triples;
}

/** What a file holds, short enough for one line. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function validateAdded(value: unknown, index: number, vocabulary: readonly unknown[]): AddedToken {
  const wrong = (why: string) => new DataError("tokenizer.added", `tokenizer: added token ${index} ${why}`);
  if (!isFields(value)) throw wrong("is not an object");
  const { id, content, special, lstrip, rstrip } = value;
  if (typeof content !== "string" || content === "" || !content.isWellFormed()) throw wrong("has no valid content");
  if (typeof id !== "number" || vocabulary[id] !== content)
    throw wrong(`${show(content)} is not the vocabulary's token ${show(id)}`);
  if (typeof special !== "boolean" || typeof lstrip !== "boolean" || typeof rstrip !== "boolean")
    throw wrong(`${show(content)} lacks special, lstrip or rstrip`);
  return { id, content, special, lstrip, rstrip };
}

function validateRoles(value: unknown, added: ReadonlySet<string>): TokenizerData["roles"] {
  if (!isFields(value)) throw new DataError("tokenizer.shape", "tokenizer: roles is not an object");
  const roles: TokenizerData["roles"] = {};
  for (const role of roleNames) {
    const content = value[role];
    if (content === undefined) continue;
    if (typeof content !== "string" || !added.has(content))
      throw new DataError("tokenizer.role", `tokenizer: ${role} ${show(content)} is not an added token`);
    roles[role] = content;
  }
  return roles;
}

/** A sound tokenizer with what its checks have worked out. */
export interface ResolvedTokenizer {
  data: TokenizerData;
  /** Spelling → id. */
  ids: ReadonlyMap<string, number>;
  /** Left id, right id and merged id of each merge, flat, by rank. */
  triples: Int32Array;
}

/** As validateTokenizer, with the lookups that its checks need. */
export function resolveTokenizer(data: unknown): ResolvedTokenizer {
  if (!isFields(data)) throw new DataError("tokenizer.shape", "tokenizer: not an object");
  const { addPrefixSpace } = data;
  if (typeof addPrefixSpace !== "boolean")
    throw new DataError("tokenizer.shape", "tokenizer: addPrefixSpace is not true or false");
  const vocabulary = requireList(data.vocabulary, "vocabulary");
  const merges = requireList(data.merges, "merges");
  const ids = resolveIds(vocabulary);

  const added = requireList(data.added, "added").map((token, i) => validateAdded(token, i, vocabulary));
  const contents = new Set(added.map((token) => token.content));
  if (contents.size < added.length) throw new DataError("tokenizer.duplicate", "tokenizer: an added token comes twice");
  const roles = validateRoles(data.roles, contents);

  for (const [spelling, id] of ids) {
    if (!contents.has(spelling) && !spelledBytes(spelling))
      throw new DataError(
        "tokenizer.alphabet",
        `tokenizer: token ${id} ${show(spelling)} is not spelled in the byte alphabet`,
      );
  }
  const missing = byteCharacters.findIndex((character) => !ids.has(character));
  if (missing >= 0) throw new DataError("tokenizer.bytes", `tokenizer: no token for the byte ${missing}`);
  const triples = resolveMerges(merges, ids);
  return { data: { vocabulary, merges, added, roles, addPrefixSpace } as TokenizerData, ids, triples };
}

/**
 * Checks everything that encoding and decoding rely on.
 * @returns the data, with nothing in it but the fields of TokenizerData
 * @throws DataError: tokenizer.shape, .size, .hole, .duplicate, .alphabet, .bytes, .merge, .added, .role
 */
export function validateTokenizer(data: unknown): TokenizerData {
  return resolveTokenizer(data).data;
}
