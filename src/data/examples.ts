/** Files of examples → tokens with a loss mask, split for validation, and what there is to know before the first step. */
import { DataError } from "../base/errors.ts";
import { Sha256 } from "../base/hash.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type Example, parseRow } from "./example.ts";
import { counted, type ExampleTokens, isCounted, WordList } from "./example-tokens.ts";
import { type ExampleFormat, readRows } from "./formats/read.ts";
import type { Kind } from "./kinds.ts";
import { encodeSegment, segmentsOf } from "./segments.ts";
import type { Source } from "./sources.ts";
import type { Template } from "./template.ts";

/** What becomes of examples that are longer than the context; split: texts become several examples, others are errors. */
export type TooLong = "error" | "split" | "drop" | "truncate";

export interface ExampleOptions {
  tokenizer: Tokenizer;
  /** Id that ends a text and an answer. */
  eos: number;
  /** Most tokens of an example, its eos with them. */
  context: number;
  template: Template;
  /** Do prompts count in the loss? */
  trainOnPrompt: boolean;
  tooLong: TooLong;
  /** Share of the examples held out, 0 to below 1. */
  validation: number;
  /** Told every thousand examples. */
  onProgress?(examples: number): void;
}

/** What a file held: "alpaca.jsonl: 500 examples as Alpaca instructions". */
export interface FileSummary {
  label: string;
  /** Undefined where it held none. */
  kind: Kind | undefined;
  examples: number;
}

/** Sums over examples. */
export interface ExampleCounts {
  examples: number;
  /** Of prompts and answers, eos with them. */
  tokens: number;
  /** That count as targets. */
  counted: number;
}

export interface LanguageSummary {
  language: string;
  /** Is it only in sources that are to be kept? */
  kept: boolean;
  train: ExampleCounts;
  validation: ExampleCounts;
}

/** What is told before the first step. */
export interface ExampleSummary {
  files: FileSummary[];
  /** Sorted by name; an example's language is an index into this list. */
  languages: LanguageSummary[];
  /** The longest example as it was written. */
  longest: { tokens: number; where: string };
  /** Examples longer than the context. */
  tooLong: number;
  /** Of them, how many were left out: all, none, or when truncating those with nothing to learn in what was left. */
  dropped: number;
}

export interface ExampleSet {
  tokens: ExampleTokens;
  /** Numbers of the examples to learn from. */
  train: Uint32Array;
  /** Numbers of those held out. */
  validation: Uint32Array;
  summary: ExampleSummary;
  /** 64 hex digits of all tokens, marks and sides: the same identity, the same batches. */
  identity: string;
}

/**
 * Reads all examples. Each file holds one kind of example, told by the keys of its first; a text in a language of its
 * own says so by `lang`, else it is its file's. Examples are held out by a hash of their content, without the template,
 * so that equal examples are on one side; where that leaves none, the one with the lowest hash is.
 * @param kept more of them: languages that are in these alone are what a model is to keep
 * @throws DataError with file and line: as readRows, parseRow and segmentsOf; data.long where an example is longer than
 *   the context; data.empty where there is none
 */
export async function openExamples(
  sources: readonly Source<ExampleFormat>[],
  options: ExampleOptions,
  kept: readonly Source<ExampleFormat>[] = [],
): Promise<ExampleSet> {
  const reader = new ExampleReader(options);
  const files: FileSummary[] = [];
  for (const source of sources) files.push(await readFile(source, reader, options));
  reader.keeping();
  for (const source of kept) files.push(await readFile(source, reader, options));
  return reader.finish(files);
}

async function readFile(
  source: Source<ExampleFormat>,
  reader: ExampleReader,
  { onProgress }: ExampleOptions,
): Promise<FileSummary> {
  let kind: Kind | undefined;
  let examples = 0;
  for await (const rows of readRows(source)) {
    for (const [i, value] of rows.values.entries()) {
      const where = () => rows.where(i);
      const { example, language } = parseRow(value, where, kind);
      kind ??= example.kind;
      reader.add(example, language ?? source.language, where);
      examples++;
      if (reader.examples % 1000 === 0) onProgress?.(reader.examples);
    }
  }
  return { label: source.label, kind, examples };
}

/** Gathers the examples of all files. */
class ExampleReader {
  /** Examples so far, dropped ones with them. */
  examples = 0;
  private readonly words = new WordList();
  private readonly starts = new WordList();
  private readonly languages = new WordList();
  /** [examples] 32 bits of the hash of each one's content. */
  private readonly points = new WordList();
  /** Names, in the order in which they came. */
  private readonly names = new Map<string, number>();
  /** Languages of the sources that are not to be kept. */
  private learnt = Number.POSITIVE_INFINITY;
  private longest = { tokens: 0, where: () => "" };
  private tooLong = 0;
  private refused = 0;
  private dropped = 0;

  constructor(private readonly options: ExampleOptions) {
    this.starts.push(0);
  }

  /** What follows is to be kept. */
  keeping(): void {
    this.learnt = this.names.size;
  }

  add(example: Example, language: string, where: () => string): void {
    const { words } = this;
    const { tokenizer, eos, context, template, trainOnPrompt, tooLong } = this.options;
    const from = words.length;
    for (const segment of segmentsOf(example, template, trainOnPrompt)) {
      const mark = segment.counts ? counted : 0;
      words.append(encodeSegment(tokenizer, segment), mark);
      if (segment.ends) words.push(eos + mark);
    }
    this.examples++;
    const length = words.length - from;
    if (length > this.longest.tokens) this.longest = { tokens: length, where };
    if (length > context) {
      this.tooLong++;
      const splits = tooLong === "split" && example.kind === "text";
      if (!splits && tooLong !== "drop" && tooLong !== "truncate") this.refused++;
      if (!splits && (tooLong !== "truncate" || !this.truncate(from))) {
        this.dropped++;
        words.cut(from);
        return;
      }
    }
    const point = pointOf(example);
    for (let at = from; at < words.length; at += context)
      this.close(Math.min(at + context, words.length), language, point);
  }

  /** An example ends before place `end`. */
  private close(end: number, language: string, point: number): void {
    if (!this.names.has(language)) this.names.set(language, this.names.size);
    this.starts.push(end);
    this.languages.push(this.names.get(language)!);
    this.points.push(point);
  }

  /** Cuts the last example to the context, its last token an eos that does not count. @returns is something left to learn? */
  private truncate(from: number): boolean {
    const { eos, context } = this.options;
    this.words.cut(from + context - 1);
    this.words.push(eos);
    return this.words.view().subarray(from).some(isCounted);
  }

  finish(files: FileSummary[]): ExampleSet {
    const { tooLong, dropped } = this;
    const longest = { tokens: this.longest.tokens, where: this.longest.where() };
    this.check(files, longest);
    const sorted = [...this.names.keys()].sort();
    const places = new Map(sorted.map((name, place) => [name, place]));
    const rank = Uint32Array.from(this.names.keys(), (name) => places.get(name)!);
    const languages = this.languages.view().map((number) => rank[number]!);
    const tokens = { words: this.words.view(), starts: this.starts.view(), languages };
    const { train, validation } = split(this.points.view(), this.options.validation);
    const counts = [train, validation].map((numbers) => countsOf(tokens, numbers, sorted.length));
    const summary: ExampleSummary = {
      files,
      languages: sorted.map((language, i) => {
        const kept = this.names.get(language)! >= this.learnt;
        return { language, kept, train: counts[0]![i]!, validation: counts[1]![i]! };
      }),
      longest,
      tooLong,
      dropped,
    };
    const identity = new Sha256().update(bytesOf(tokens.words)).update(bytesOf(tokens.starts));
    identity.update(bytesOf(languages)).update(bytesOf(validation));
    return { tokens, train, validation, summary, identity: identity.hex() };
  }

  /** @throws DataError where there are no examples, none is left, or some are too long that may not be */
  private check(files: readonly FileSummary[], { tokens, where }: ExampleSummary["longest"]): void {
    const { examples, refused, dropped } = this;
    const { context } = this.options;
    if (examples === 0) {
      const read = files.map(({ label }) => label).slice(0, 3);
      throw new DataError("data.empty", `no examples in ${read.join(", ")}`, 'a row such as {"text": "…"}, or text');
    }
    const longer = `longer than the context of ${context} tokens; the longest, ${where}, has ${tokens}`;
    if (refused > 0) {
      const says = `${refused} of ${examples} examples ${refused === 1 ? "is" : "are"} ${longer}`;
      const texts =
        this.options.tooLong === "error" && files.every(({ kind }) => kind === "text" || kind === undefined);
      throw new DataError("data.long", says, `--too-long ${texts ? "split, " : ""}drop or truncate`);
    }
    if (dropped === examples) throw new DataError("data.long", `all ${examples} examples are ${longer}`);
  }
}

/** What the hash of an example's content says, 0 to 2^32 − 1. Of a text it is isHeldOut's. */
function pointOf(example: Example): number {
  let hash = 0n;
  for (const text of textsOf(example)) hash = Bun.hash.xxHash64(text, hash);
  return Number(hash & 0xffffffffn);
}

function textsOf(example: Example): string[] {
  switch (example.kind) {
    case "text":
      return [example.text];
    case "completion":
      return [example.prompt, example.completion];
    case "alpaca":
      return [example.instruction, example.input, example.output];
    default:
      return example.turns.map(({ content }) => content);
  }
}

/** Numbers of the examples on each side, in order. */
function split(points: Uint32Array, share: number): Pick<ExampleSet, "train" | "validation"> {
  const lowest = points.reduce((a, b) => Math.min(a, b), 2 ** 32);
  const highest = points.reduce((a, b) => Math.max(a, b), 0);
  // Both sides need an example, if there are two that differ: equal ones stay together.
  const limit = share > 0 ? Math.min(Math.max(share * 2 ** 32, lowest + 1), highest) : 0;
  const numbers = points.map((_, i) => i);
  return {
    train: numbers.filter((i) => points[i]! >= limit),
    validation: numbers.filter((i) => points[i]! < limit),
  };
}

/** [languages] sums over some examples. */
function countsOf({ words, starts, languages }: ExampleTokens, numbers: Uint32Array, count: number): ExampleCounts[] {
  const sums = Array.from({ length: count }, () => ({ examples: 0, tokens: 0, counted: 0 }));
  for (const i of numbers) {
    const sum = sums[languages[i]!]!;
    sum.examples++;
    sum.tokens += starts[i + 1]! - starts[i]!;
    for (let at = starts[i]!; at < starts[i + 1]!; at++) if (isCounted(words[at]!)) sum.counted++;
  }
  return sums;
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
