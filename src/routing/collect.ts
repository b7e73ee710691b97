/** Texts through a model, and of each language what its experts saw (spec §6). */
import { moeLayers } from "../checkpoint/config.ts";
import type { Document } from "../data/documents.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RoutingPass } from "./collect-pass.ts";
import { Tally } from "./collect-tally.ts";
import type { LanguageRouting } from "./collection.ts";

/** How much of each language is read. */
export interface Limits {
  documents: number;
  /** UTF-8; the document that goes beyond is cut. */
  bytes: number;
}

/** A document as the model reads it. */
export interface TokenDocument {
  language: string;
  /** At least one. */
  ids: Uint32Array;
  /** UTF-8. */
  bytes: number;
}

/** Where a document's tokens went. */
export interface RoutedDocument {
  language: string;
  /** Of the language's documents, from 0. */
  row: number;
  ids: Uint32Array;
  /** [MoE layers][tokens] */
  experts: readonly Uint32Array[];
}

export interface CollectOptions {
  /** Told of each document, in the order in which they came. */
  onDocument?: (document: RoutedDocument) => void;
  /** Called between passes. */
  progress?: (done: { languages: number; documents: number; tokens: number; bytes: number }) => void;
  signal?: AbortSignal;
}

/** The first documents of each language in tokens; empty ones are left out. */
export async function* tokenised(
  documents: Iterable<Document> | AsyncIterable<Document>,
  tokenizer: Tokenizer,
  limits: Limits,
): AsyncGenerator<TokenDocument> {
  const read = new Map<string, Limits>();
  for await (const { text, language } of documents) {
    const sofar = read.get(language) ?? { documents: 0, bytes: 0 };
    const room = limits.bytes - sofar.bytes;
    if (sofar.documents >= limits.documents || room <= 0) continue;
    const size = Buffer.byteLength(text);
    const kept = size <= room ? text : beginning(text, room);
    const ids = tokenizer.encode(kept, { specials: false });
    const bytes = size <= room ? size : Buffer.byteLength(kept);
    // Cut or not, what went beyond ends the language.
    read.set(language, {
      documents: sofar.documents + (ids.length > 0 ? 1 : 0),
      bytes: sofar.bytes + Math.min(size, room),
    });
    if (ids.length > 0) yield { language, ids, bytes };
  }
}

/** As many whole characters as fit into so many bytes. */
function beginning(text: string, most: number): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(Buffer.from(text).subarray(0, most), { stream: true });
}

/** A window of a document: a sequence by itself, as the model sees it. */
interface Piece {
  tally: Tally;
  ids: Uint32Array;
  /** Of which of the documents that wait, and where in it. */
  document: RoutedDocument;
  at: number;
}

/** Tokens that wait until they are sorted by length, in passes. */
const waitingPasses = 16;

/**
 * Runs documents through a model. Each starts at position 0 without a token before it, as in the paper; one longer than the context
 * is cut into windows that do. Documents of like length share passes, so that no row is padding.
 * @returns languages in ascending order
 * @throws DOMException AbortError after `signal`
 */
export async function collect(
  pass: RoutingPass,
  documents: Iterable<TokenDocument> | AsyncIterable<TokenDocument>,
  { onDocument, progress, signal }: CollectOptions = {},
): Promise<LanguageRouting[]> {
  const { config, tokenizer } = pass.model;
  const layers = moeLayers(config).length;
  const tallies = new Map<string, Tally>();
  const done = { languages: 0, documents: 0, tokens: 0, bytes: 0 };
  let pieces: Piece[] = [];
  let waiting: RoutedDocument[] = [];
  let tokens = 0;
  const flush = async () => {
    for await (const { piece, experts } of routed(pass, pieces, signal)) {
      done.tokens += piece.ids.length;
      if (onDocument)
        for (const [layer, chosen] of experts.entries()) piece.document.experts[layer]!.set(chosen, piece.at);
    }
    for (const document of waiting) onDocument?.(document);
    done.languages = tallies.size;
    progress?.(done);
    [pieces, waiting, tokens] = [[], [], 0];
  };
  for await (const { language, ids, bytes } of documents) {
    signal?.throwIfAborted();
    let tally = tallies.get(language);
    if (!tally) tallies.set(language, (tally = new Tally(language, layers, config.experts)));
    const experts = onDocument ? Array.from({ length: layers }, () => new Uint32Array(ids.length)) : [];
    const document = { language, row: tally.documents++, ids, experts };
    tally.bytes += bytes;
    done.documents++;
    done.bytes += bytes;
    waiting.push(document);
    for (let at = 0; at < ids.length; at += config.context)
      pieces.push({ tally, ids: ids.subarray(at, at + config.context), document, at });
    tokens += ids.length;
    if (tokens >= waitingPasses * pass.rows) await flush();
  }
  if (pieces.length > 0) await flush();
  const sorted = Array.from(tallies.values()).sort((a, b) => (a.language < b.language ? -1 : 1));
  return sorted.map((tally) => tally.result(tokenizer));
}

/** Pieces that ran, with the experts of their tokens: [MoE layers][tokens]. */
async function* routed(
  pass: RoutingPass,
  pieces: Piece[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ piece: Piece; experts: Uint32Array[] }> {
  const batches = batched(pass, pieces);
  const start = (batch: Piece[] | undefined) =>
    batch &&
    pass.run(
      batch.map(({ ids }) => ids),
      signal,
    );
  let running = start(batches[0]);
  for (const [i, batch] of batches.entries()) {
    const routing = await running!;
    // What came back is counted while the device works on.
    running = start(batches[i + 1]);
    let from = 0;
    for (const piece of batch) {
      const end = from + piece.ids.length;
      piece.tally.add(piece.ids, routing, from);
      yield { piece, experts: routing.experts.map((layer) => layer.subarray(from, end)) };
      from = end;
    }
  }
}

/** The longest pieces first, as many to a batch as fit. */
function batched(pass: RoutingPass, pieces: Piece[]): Piece[][] {
  const batches: Piece[][] = [];
  let batch: Piece[] = [];
  let tokens = 0;
  for (const piece of pieces.toSorted((a, b) => b.ids.length - a.ids.length)) {
    const longest = batch[0]?.ids.length ?? piece.ids.length;
    if (!pass.fits(batch.length + 1, longest, tokens + piece.ids.length)) {
      batches.push(batch);
      [batch, tokens] = [[], 0];
    }
    batch.push(piece);
    tokens += piece.ids.length;
  }
  return batch.length > 0 ? [...batches, batch] : batches;
}
