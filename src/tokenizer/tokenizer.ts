/** Byte-level BPE of the LOLA family: text → ids → text. */

import { LolaError } from "../base/errors.ts";
import { byteCharacters, spelledBytes } from "./alphabet.ts";
import { Merges } from "./bpe.ts";
import { PieceCache } from "./cache.ts";
import { type AddedToken, resolveTokenizer, type TokenizerData } from "./data.ts";
import { type DecodeOptions, StreamDecoder } from "./decode.ts";
import { isWhitespace, preTokenEnd } from "./pretokenize.ts";

export interface EncodeOptions {
  /** Cut added tokens such as `<|endoftext|>` out of the text (default); otherwise they are text like any other. */
  specials?: boolean;
}

/** A growing list of ids. */
class IdList {
  ids: Uint32Array;
  length = 0;

  constructor(capacity: number) {
    this.ids = new Uint32Array(capacity);
  }

  reserve(more: number): void {
    if (this.length + more <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(2 * this.ids.length, this.length + more));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }
}

export class Tokenizer {
  readonly data: TokenizerData;
  private readonly ids: ReadonlyMap<string, number>;
  private readonly merges: Merges;
  private readonly cache = new PieceCache();
  /** byte → id of its own token. */
  private readonly byteIds: Uint32Array;
  /** Token id owns tokenBytes[byteStarts[id], byteStarts[id + 1]). */
  private readonly tokenBytes: Uint8Array;
  private readonly byteStarts: Uint32Array;
  private readonly added: Map<string, AddedToken>;
  private readonly specialIds: Set<number>;
  /** Any added token, the longest first, or undefined where there is none. */
  private readonly addedPattern: RegExp | undefined;

  /**
   * @param source TokenizerData, not yet validated
   * @throws DataError as validateTokenizer
   */
  constructor(source: unknown) {
    const { data, ids, triples } = resolveTokenizer(source);
    this.data = data;
    this.ids = ids;
    this.merges = new Merges(triples);
    this.byteIds = Uint32Array.from(byteCharacters, (character) => this.ids.get(character)!);
    this.added = new Map(data.added.map((token) => [token.content, token]));
    this.specialIds = new Set(data.added.filter((token) => token.special).map((token) => token.id));
    const contents = [...this.added.keys()].sort((a, b) => b.length - a.length);
    this.addedPattern = contents.length > 0 ? new RegExp(contents.map(RegExp.escape).join("|"), "g") : undefined;

    const utf8 = new TextEncoder();
    const pieces = data.vocabulary.map((spelling) =>
      this.added.has(spelling) ? utf8.encode(spelling) : spelledBytes(spelling)!,
    );
    this.byteStarts = new Uint32Array(pieces.length + 1);
    pieces.forEach((piece, id) => {
      this.byteStarts[id + 1] = this.byteStarts[id]! + piece.length;
    });
    this.tokenBytes = new Uint8Array(this.byteStarts[pieces.length]!);
    pieces.forEach((piece, id) => {
      this.tokenBytes.set(piece, this.byteStarts[id]!);
    });
  }

  /** Ids 0 … size − 1 have tokens; a model's padded vocabulary may be larger. */
  get size(): number {
    return this.data.vocabulary.length;
  }

  /** Id of the token that stands for exactly this text, if there is one. */
  idOf(content: string): number | undefined {
    const spelling = Array.from(new TextEncoder().encode(content), (byte) => byteCharacters[byte]).join("");
    return this.added.get(content)?.id ?? this.ids.get(spelling);
  }

  isSpecial(id: number): boolean {
    return this.specialIds.has(id);
  }

  /**
   * Text → ids, as Hugging Face's GPT2TokenizerFast gives them. No bos or eos is added; a lone surrogate counts as U+FFFD.
   * @returns [tokens]
   */
  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    const out = new IdList((text.length >> 1) + 16);
    let at = 0;
    if (this.addedPattern && options.specials !== false) {
      for (const { 0: content, index } of text.matchAll(this.addedPattern)) {
        const token = this.added.get(content)!;
        let end = index;
        if (token.lstrip) while (end > at && isWhitespace(text, end - 1)) end--;
        this.encodePlain(text, at, end, out);
        out.reserve(1);
        out.ids[out.length++] = token.id;
        at = index + content.length;
        if (token.rstrip) while (at < text.length && isWhitespace(text, at)) at++;
      }
    }
    this.encodePlain(text, at, text.length, out);
    return out.ids.slice(0, out.length);
  }

  /** Appends the ids of text[start, end), which holds no added token. */
  private encodePlain(text: string, start: number, end: number, out: IdList): void {
    if (start >= end) return;
    if (this.data.addPrefixSpace && text[start] !== " ") {
      const spaced = ` ${text.slice(start, end)}`;
      this.encodePieces(spaced, 0, spaced.length, out);
    } else {
      this.encodePieces(text, start, end, out);
    }
  }

  private encodePieces(text: string, start: number, end: number, out: IdList): void {
    const { cache } = this;
    for (let stop: number; start < end; start = stop) {
      stop = preTokenEnd(text, start, end);
      // UTF-16 units have at most three bytes each, and a byte is at most one token.
      out.reserve(3 * (stop - start));
      const entry = cache.find(text, start, stop);
      if (entry >= 0) {
        const to = cache.idEnd(entry);
        for (let i = cache.idStart(entry); i < to; i++) out.ids[out.length++] = cache.ids[i]!;
        continue;
      }
      const from = out.length;
      const bytes = this.writeBytes(text, start, stop, out.ids, from);
      out.length = from + this.merges.apply(out.ids, from, bytes);
      cache.add(text, start, stop, out.ids, from, out.length);
    }
  }

  /** Writes the ids of the UTF-8 bytes of text[start, end) at `at`. @returns how many */
  private writeBytes(text: string, start: number, end: number, ids: Uint32Array, at: number): number {
    const { byteIds } = this;
    const from = at;
    for (let i = start; i < end; i++) {
      let code = text.charCodeAt(i);
      if ((code & 0xf800) === 0xd800) {
        code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
        else code = 0xfffd;
      }
      if (code < 0x80) {
        ids[at++] = byteIds[code]!;
        continue;
      }
      if (code < 0x800) {
        ids[at++] = byteIds[0xc0 | (code >> 6)]!;
      } else {
        if (code < 0x10000) {
          ids[at++] = byteIds[0xe0 | (code >> 12)]!;
        } else {
          ids[at++] = byteIds[0xf0 | (code >> 18)]!;
          ids[at++] = byteIds[0x80 | ((code >> 12) & 0x3f)]!;
        }
        ids[at++] = byteIds[0x80 | ((code >> 6) & 0x3f)]!;
      }
      ids[at++] = byteIds[0x80 | (code & 0x3f)]!;
    }
    return at - from;
  }

  /**
   * Bytes of a token, of a special one its content in UTF-8: a view, not to be written to.
   * @throws LolaError (usage) where no token has this id
   */
  bytes(id: number): Uint8Array {
    if (!(id >= 0 && id < this.size && Number.isInteger(id)))
      throw new LolaError("usage", `token id ${id}: the tokenizer has ids 0 to ${this.size - 1}`);
    return this.tokenBytes.subarray(this.byteStarts[id]!, this.byteStarts[id + 1]!);
  }

  /** A decoder for ids that come one at a time. */
  stream(options?: DecodeOptions): StreamDecoder {
    return new StreamDecoder(this, options);
  }

  /**
   * Ids → text, exactly: spaces are left as they are. Bytes that are no UTF-8 become U+FFFD.
   * @throws LolaError (usage) where no token has this id
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string {
    const stream = this.stream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    return text + stream.end();
  }
}
