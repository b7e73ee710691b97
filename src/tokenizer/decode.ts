/** Ids → text as they come: only whole characters leave, however a character is cut into tokens. */

export interface DecodeOptions {
  /** Leave out tokens that are registered as special. */
  skipSpecials?: boolean;
}

/** What decoding needs of a tokenizer. */
export interface TokenBytes {
  /** Bytes of a token. @throws LolaError (usage) where no token has this id */
  bytes(id: number): Uint8Array;
  isSpecial(id: number): boolean;
}

/** The text so far is, at each step, what a UTF-8 decoder makes of all bytes so far, less an unfinished character. */
export class StreamDecoder {
  private readonly utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(
    private readonly tokens: TokenBytes,
    private readonly options: DecodeOptions = {},
  ) {}

  /**
   * @returns the characters that this token completes; bytes that no later one can mend become U+FFFD
   * @throws LolaError (usage) where no token has this id
   */
  push(id: number): string {
    const bytes = this.tokens.bytes(id);
    if (this.options.skipSpecials && this.tokens.isSpecial(id)) return "";
    return this.utf8.decode(bytes, { stream: true });
  }

  /** @returns U+FFFD for a character that never became whole, else nothing; the decoder is then as new */
  end(): string {
    return this.utf8.decode();
  }
}
