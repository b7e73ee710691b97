/** A corpus as tokens on disk: made once, then mapped, so that its size costs no memory. */

/** Token ids of one language, documents end to end with an eos after each. */
export type TokenIds = Uint16Array | Uint32Array;

/** Training or validation text of one language. */
export interface Side {
  documents: number;
  /** UTF-8, without the eos. */
  bytes: number;
  /** Mapped from the file: read only what is needed. */
  ids: TokenIds;
}

export interface LanguageTokens {
  language: string;
  train: Side;
  validation: Side;
}

/** A corpus in tokens. */
export interface TokenCache {
  folder: string;
  /** 64 hex digits that name tokenizer, sources and split: the same key, the same tokens. */
  key: string;
  /** Sorted by name; a row's language is an index into this list. */
  languages: readonly LanguageTokens[];
}
