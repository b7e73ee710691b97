/** LOLA's layout of a vocabulary: special tokens at 0 to 5, the bytes in order from 6, then whatever else there is. */
import { byteCharacters } from "./alphabet.ts";
import type { AddedToken, TokenizerData } from "./data.ts";

/** At ids 0 to 5. */
export const specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"] as const;

const roles: TokenizerData["roles"] = {
  bos_token: "<s>",
  eos_token: "<|endoftext|>",
  unk_token: "<unk>",
  sep_token: "</s>",
  pad_token: "<pad>",
  mask_token: "<mask>",
};

/** Tokens of a tokenizer without merges: the smallest vocabulary there is. */
export const firstTokens: readonly string[] = [...specials, ...byteCharacters];

/** @param vocabulary begins with `firstTokens` */
export function inLayout(vocabulary: string[], merges: string[]): TokenizerData {
  const added = specials.map(
    (content, id): AddedToken => ({ id, content, special: true, lstrip: content === "<mask>", rstrip: false }),
  );
  return { vocabulary, merges, added, roles, addPrefixSpace: false };
}

/**
 * A tokenizer that reads bytes, and has words without meaning for all further ids, so that any model's output is text.
 * @param size tokens, at least `firstTokens`
 */
export function dummyTokenizer(size: number): TokenizerData {
  const words = Array.from({ length: size - firstTokens.length }, (_, i) => `Ġ${i.toString(36)}`);
  return inLayout([...firstTokens, ...words], []);
}
