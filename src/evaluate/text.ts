/** Bits per byte of texts, by windows that overlap: each token is scored once, with at least `context − stride` before it. */
import type { Document } from "../data/documents.ts";
import type { Likelihood, Scored } from "../model/likelihood.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { idOf, type TextSample } from "./results.ts";

/** A document to score, under its sample's id. */
export interface Numbered extends Document {
  id: string;
}

/** Gives documents their ids; of equal ones each its own. */
export function numbered(documents: readonly Document[]): Numbered[] {
  const repeats = new Map<string, number>();
  return documents.map(({ language, text }) => {
    const id = idOf([language, text]);
    const before = repeats.get(id) ?? 0;
    repeats.set(id, before + 1);
    return { id: idOf([language, text], before), language, text };
  });
}

interface ScoreOptions {
  /** Called for each document that is done, in no order. */
  done: (sample: TextSample) => void;
  /** Bytes of documents that are done, or in the work as far as they are scored. */
  progress?: (bytes: number) => void;
  signal?: AbortSignal;
}

/** Bytes of text that are encoded and sorted at once. */
const sorted = 2 ** 22;

/**
 * Scores documents, none empty: those of similar length share a pass, whatever their language. Special tokens' names are text.
 * @throws DOMException AbortError after `signal`, between two passes
 */
export async function scoreDocuments(
  likelihood: Likelihood,
  tokenizer: Tokenizer,
  documents: readonly Numbered[],
  size: Windows,
  { done, progress, signal }: ScoreOptions,
): Promise<void> {
  let before = 0;
  for (const some of shards(documents)) {
    const scoring = some.map((document) => new Scoring(document, tokenizer));
    const windows = scoring.flatMap((one) => one.windows(size));
    windows.sort((a, b) => b.scored.tokens.length - a.scored.tokens.length);
    for (let at = 0; at < windows.length; ) {
      signal?.throwIfAborted();
      const batch = windows.slice(at, at + likelihood.room(windows[at]!.scored.tokens.length));
      const losses = await likelihood.score(batch.map(({ scored }) => scored));
      for (const [i, window] of batch.entries()) {
        before += window.of.add(window, losses[i]!);
        const sample = window.of.sample();
        if (sample) done(sample);
      }
      at += batch.length;
      progress?.(before);
    }
  }
}

function* shards(documents: readonly Numbered[]): Generator<Numbered[]> {
  let [shard, bytes]: [Numbered[], number] = [[], 0];
  for (const document of documents) {
    shard.push(document);
    bytes += document.text.length;
    if (bytes < sorted) continue;
    yield shard;
    [shard, bytes] = [[], 0];
  }
  yield shard;
}

/** A window, and the place in the document of the first token that it scores. */
interface Placed {
  of: Scoring;
  scored: Scored;
  first: number;
  count: number;
}

/** One document while its windows are scored. */
class Scoring {
  private readonly tokens: Uint32Array;
  /** Where each token begins, bytes; behind them the length of all. */
  private readonly starts: Uint32Array;
  private readonly losses: Float32Array;
  private left: number;

  constructor(
    private readonly document: Numbered,
    tokenizer: Tokenizer,
  ) {
    this.tokens = tokenizer.encode(document.text, { specials: false });
    this.starts = new Uint32Array(this.tokens.length + 1);
    this.tokens.forEach((id, i) => {
      this.starts[i + 1] = this.starts[i]! + tokenizer.bytes(id).length;
    });
    this.losses = new Float32Array(this.tokens.length);
    this.left = this.tokens.length;
  }

  windows(size: Windows): Placed[] {
    let first = 0;
    return windowsOf(this.tokens, size).map((scored) => {
      const count = scored.targets.reduce((sum, target) => (target < size.vocabulary ? sum + 1 : sum), 0);
      first += count;
      return { of: this, scored, first: first - count, count };
    });
  }

  /** @returns bytes of the tokens scored */
  add({ first, count }: Placed, losses: Float32Array): number {
    this.losses.set(losses.subarray(losses.length - count), first);
    this.left -= count;
    return this.starts[first + count]! - this.starts[first]!;
  }

  /** What was found, when all windows are there. */
  sample(): TextSample | undefined {
    if (this.left > 0) return undefined;
    const { id, language, text } = this.document;
    const ends = partEnds(Buffer.from(text));
    const parts = ends.map((end, i): [number, number] => [end - (ends[i - 1] ?? 0), 0]);
    let part = 0;
    this.losses.forEach((loss, i) => {
      while (this.starts[i]! >= ends[part]!) part++;
      parts[part]![1] += loss / Math.LN2;
    });
    const bits = parts.reduce((sum, [, one]) => sum + one, 0);
    return { kind: "text", id, language, bytes: ends.at(-1)!, tokens: this.tokens.length, bits, parts };
  }
}

const lineFeed = 10;
/** Paragraphs without line ends are cut. */
const longestPart = 1000;

/** Where the paragraphs of a text end, each with its line end: at 1,000 bytes those that are longer. */
function partEnds(utf8: Uint8Array): number[] {
  const ends: number[] = [];
  for (let at = 0; at < utf8.length; at = ends.at(-1)!) {
    const line = utf8.subarray(at, at + longestPart).indexOf(lineFeed);
    ends.push(line >= 0 ? at + line + 1 : Math.min(utf8.length, at + longestPart));
  }
  return ends;
}

/** Sizes of windows: `context` tokens that the model sees at most, `stride` by which they move on, at most `context`. */
export interface Windows {
  eos: number;
  vocabulary: number;
  context: number;
  stride: number;
}

/** A document's windows; each token is a target once, the first one after an end of text. */
export function windowsOf(tokens: ArrayLike<number>, { eos, vocabulary, context, stride }: Windows): Scored[] {
  const ids = new Uint32Array(tokens.length + 1);
  ids[0] = eos;
  ids.set(tokens, 1);
  const windows: Scored[] = [];
  for (let scored = 0; scored < ids.length - 1; ) {
    const end = Math.min(ids.length - 1, scored === 0 ? context : scored + stride);
    const start = Math.max(0, end - context);
    const targets = ids.slice(start + 1, end + 1);
    // What an earlier window has scored is read, not scored again.
    targets.fill(vocabulary, 0, scored - start);
    windows.push({ tokens: ids.slice(start, end), targets });
    scored = end;
  }
  return windows;
}
