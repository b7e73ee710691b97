/** Hugging Face tokenizer files → TokenizerData: `tokenizer.json`, or `vocab.json` with `merges.txt`. */

import { DataError } from "../base/errors.ts";
import { MOST_TOKENS } from "./bpe.ts";
import {
  type AddedToken,
  type Fields,
  isFields,
  roleNames,
  show,
  type TokenizerData,
  validateTokenizer,
} from "./data.ts";

export const hfFileNames = [
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
] as const;

/** Text of each file that is there. */
export type HfFiles = Partial<Record<(typeof hfFileNames)[number], string>>;

const unsupported = (what: string) =>
  new DataError(
    "tokenizer.unsupported",
    `${what} is not supported`,
    "a model with a byte-level BPE tokenizer, as GPT-2 has",
  );

function parseObject(files: HfFiles, name: keyof HfFiles): Fields {
  let value: unknown;
  try {
    value = JSON.parse(files[name]!);
  } catch (cause) {
    throw new DataError("tokenizer.json", `${name}: not valid JSON: ${(cause as Error).message}`, undefined, { cause });
  }
  if (!isFields(value)) throw new DataError("tokenizer.shape", `${name}: not an object`);
  return value;
}

/** Puts a token at its id. @throws DataError (tokenizer.id, tokenizer.duplicate) */
function place(vocabulary: string[], token: string, id: unknown, where: string): void {
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MOST_TOKENS)
    throw new DataError("tokenizer.id", `${where}: the id of ${show(token)} is ${show(id)}`);
  const other = vocabulary[id];
  if (other !== undefined && other !== token)
    throw new DataError("tokenizer.duplicate", `${where}: ${show(other)} and ${show(token)} both have id ${id}`);
  vocabulary[id] = token;
}

function placeAll(tokens: unknown, where: string): string[] {
  if (!isFields(tokens)) throw new DataError("tokenizer.shape", `${where}: the vocabulary is not an object`);
  const vocabulary: string[] = [];
  for (const [token, id] of Object.entries(tokens)) place(vocabulary, token, id, where);
  return vocabulary;
}

/** @param fields an added token as `added_tokens` or `added_tokens_decoder` describe it */
function addedToken(id: unknown, fields: unknown, where: string): AddedToken {
  if (!isFields(fields) || typeof fields.content !== "string" || typeof id !== "number")
    throw new DataError("tokenizer.added", `${where}: an added token lacks its id or content: ${show(fields)}`);
  if (fields.single_word === true) throw unsupported(`${where}: single_word of ${show(fields.content)}`);
  return {
    id,
    content: fields.content,
    special: fields.special === true,
    lstrip: fields.lstrip === true,
    rstrip: fields.rstrip === true,
  };
}

/** Content of a token given as a string or as an object. */
const contentOf = (value: unknown) => (isFields(value) ? value.content : value);

/**
 * The tokenizer of either set of files.
 * @param maps `special_tokens_map.json`, then `tokenizer_config.json`: which tokens play which role; these are special
 *   even where no list of added tokens has them
 */
function complete(
  vocabulary: string[],
  merges: readonly unknown[],
  added: AddedToken[],
  maps: readonly Fields[],
  addPrefixSpace: boolean,
): TokenizerData {
  const roles: Fields = {};
  for (const { content, id } of added) place(vocabulary, content, id, "added tokens");
  for (const role of roleNames) {
    const given = maps.map((map) => map[role]).find((value) => typeof contentOf(value) === "string");
    if (given === undefined) continue;
    const content = contentOf(given) as string;
    roles[role] = content;
    if (added.some((token) => token.content === content)) continue;
    const id = vocabulary.indexOf(content);
    if (id < 0) throw new DataError("tokenizer.role", `${role} ${show(content)} is not in the vocabulary`);
    added.push(addedToken(id, { ...(isFields(given) ? given : {}), content, special: true }, role));
  }
  added.sort((a, b) => a.id - b.id);
  return validateTokenizer({ vocabulary, merges, added, roles, addPrefixSpace });
}

function checkModel(model: Fields, tokenizer: Fields): void {
  const where = "tokenizer.json";
  const typeOf = (value: unknown) => (isFields(value) ? value.type : value);
  if ((model.type ?? "BPE") !== "BPE") throw unsupported(`${where}: model type ${show(model.type)}`);
  for (const option of ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"])
    if (model[option]) throw unsupported(`${where}: model option ${option} ${show(model[option])}`);
  if (tokenizer.normalizer) throw unsupported(`${where}: normalizer ${show(typeOf(tokenizer.normalizer))}`);
  const cut = tokenizer.pre_tokenizer;
  if (!isFields(cut) || cut.type !== "ByteLevel" || cut.use_regex === false)
    throw unsupported(`${where}: pre-tokenizer ${show(typeOf(cut))}`);
  for (const part of ["post_processor", "decoder"])
    if ((typeOf(tokenizer[part]) ?? "ByteLevel") !== "ByteLevel")
      throw unsupported(`${where}: ${part} ${show(typeOf(tokenizer[part]))}`);
}

/** `tokenizer.json`: vocabulary, merges and added tokens in one. */
function fromTokenizerJson(files: HfFiles, maps: readonly Fields[]): TokenizerData {
  const where = "tokenizer.json";
  const tokenizer = parseObject(files, where);
  const { model, added_tokens: list = [] } = tokenizer;
  if (!isFields(model)) throw new DataError("tokenizer.shape", `${where}: no model`);
  checkModel(model, tokenizer);
  const vocabulary = placeAll(model.vocab, where);
  if (!Array.isArray(list)) throw new DataError("tokenizer.shape", `${where}: added_tokens is not a list`);
  const added = list.map((token) => addedToken(isFields(token) ? token.id : undefined, token, where));
  const { merges } = model;
  if (!Array.isArray(merges)) throw new DataError("tokenizer.shape", `${where}: merges is not a list`);
  const pairs = merges.map((merge) => (Array.isArray(merge) ? merge.join(" ") : merge));
  return complete(vocabulary, pairs, added, maps, (tokenizer.pre_tokenizer as Fields).add_prefix_space === true);
}

/** The older pair of files, with the added tokens in `tokenizer_config.json`. */
function fromVocabAndMerges(files: HfFiles, maps: readonly Fields[], config: Fields): TokenizerData {
  const vocabulary = placeAll(parseObject(files, "vocab.json"), "vocab.json");
  const where = "tokenizer_config.json";
  const decoder = config.added_tokens_decoder ?? {};
  if (!isFields(decoder)) throw new DataError("tokenizer.shape", `${where}: added_tokens_decoder is not an object`);
  const added = Object.entries(decoder).map(([id, fields]) => addedToken(Number(id), fields, where));
  const lines = files["merges.txt"]!.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines[0]!.startsWith("#version")) lines.shift();
  const merges = lines.filter((line) => line !== "");
  return complete(vocabulary, merges, added, maps, config.add_prefix_space === true);
}

/**
 * Reads the text of Hugging Face tokenizer files; `tokenizer.json` goes before `vocab.json` and `merges.txt`.
 * @throws DataError: the codes of validateTokenizer, and tokenizer.missing, .json, .id, .unsupported
 */
export function parseHfTokenizer(files: HfFiles): TokenizerData {
  const optional = (name: keyof HfFiles) => (files[name] === undefined ? {} : parseObject(files, name));
  const config = optional("tokenizer_config.json");
  const maps = [optional("special_tokens_map.json"), config];
  if (files["tokenizer.json"] !== undefined) return fromTokenizerJson(files, maps);
  if (files["vocab.json"] !== undefined && files["merges.txt"] !== undefined)
    return fromVocabAndMerges(files, maps, config);
  throw new DataError("tokenizer.missing", "no tokenizer.json, and no vocab.json with merges.txt");
}
