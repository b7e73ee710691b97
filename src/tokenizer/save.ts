/** TokenizerData → the five files of a Hugging Face tokenizer. */

import type { AddedToken, TokenizerData } from "./data.ts";
import type { HfFiles } from "./load.ts";

const byteLevel = (addPrefixSpace: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: addPrefixSpace,
  trim_offsets: true,
  use_regex: true,
});

const described = ({ content, special, lstrip, rstrip }: AddedToken) => ({
  content,
  single_word: false,
  lstrip,
  rstrip,
  normalized: false,
  special,
});

/**
 * Writes a tokenizer as GPT2TokenizerFast saves one.
 * @param context longest sequence of the model, in tokens
 * @returns the text of each file; parseHfTokenizer gives the same data back
 */
export function toHfFiles(data: TokenizerData, context: number): Required<HfFiles> {
  const vocab = Object.fromEntries(data.vocabulary.map((token, id) => [token, id]));
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: data.added.map((token) => ({ id: token.id, ...described(token) })),
    normalizer: null,
    pre_tokenizer: byteLevel(data.addPrefixSpace),
    post_processor: { ...byteLevel(true), trim_offsets: false },
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: data.merges,
    },
  };
  const config = {
    tokenizer_class: "GPT2Tokenizer",
    model_max_length: context,
    add_prefix_space: data.addPrefixSpace,
    errors: "replace",
    clean_up_tokenization_spaces: false,
    ...data.roles,
    added_tokens_decoder: Object.fromEntries(data.added.map((token) => [token.id, described(token)])),
  };
  const pretty = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    "tokenizer.json": `${JSON.stringify(tokenizer)}\n`,
    "vocab.json": `${JSON.stringify(vocab)}\n`,
    "merges.txt": ["#version: 0.2", ...data.merges, ""].join("\n"),
    "tokenizer_config.json": pretty(config),
    "special_tokens_map.json": pretty(data.roles),
  };
}
