/** What is counted of one language: its tokens by expert, the gates' sums, and which tokens an expert likes. */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Routing } from "./collect-pass.ts";
import type { Favourite, LanguageRouting } from "./collection.ts";

/** Favourites of an expert. */
const liked = 5;
/** Fewer occurrences say nothing: of a token, and of a token that an expert sees. */
const fewest = 5;
const fewestSeen = 3;
/** Different tokens that are counted one by one; beyond, the rarer half is forgotten and starts again. */
const mostTokens = 4096;

/** Most frequent tokens that are kept. */
const kept = 500;

export class Tally {
  documents = 0;
  bytes = 0;
  tokens = 0;
  /** [MoE layer · experts] */
  private readonly counts: Float64Array;
  private readonly probability: Float64Array;
  /** Nats, [MoE layer]. */
  private readonly entropy: Float64Array;
  /** Token → [MoE layer · experts]. */
  private seen = new Map<number, Uint32Array>();

  constructor(
    readonly language: string,
    private readonly layers: number,
    private readonly experts: number,
  ) {
    this.counts = new Float64Array(layers * experts);
    this.probability = new Float64Array(layers * experts);
    this.entropy = new Float64Array(layers);
  }

  /** Adds some tokens. @param from where they stand among the rows of the pass */
  add(tokens: Uint32Array, { experts: chosen, probabilities }: Routing, from: number): void {
    const { layers, experts } = this;
    for (let layer = 0; layer < layers; layer++) {
      const at = layer * experts;
      const gates = probabilities[layer]!.subarray(from * experts, (from + tokens.length) * experts);
      let entropy = 0;
      for (let i = 0, e = 0; i < gates.length; i++, e = e + 1 === experts ? 0 : e + 1) {
        const p = gates[i]!;
        this.probability[at + e]! += p;
        if (p > 0) entropy -= p * Math.log(p);
      }
      this.entropy[layer]! += entropy;
      for (const [t, token] of tokens.entries()) {
        const e = at + chosen[layer]![from + t]!;
        this.counts[e]!++;
        this.countsOf(token)[e]!++;
      }
    }
    this.tokens += tokens.length;
    if (this.seen.size > mostTokens) this.forget();
  }

  /** @throws LolaError "usage" for tokens that the tokenizer does not have */
  result(tokenizer: Tokenizer): LanguageRouting {
    const { language, documents, bytes, tokens } = this;
    const rows = (values: Float64Array) =>
      Array.from({ length: this.layers }, (_, layer) =>
        Array.from(values.subarray(layer * this.experts, (layer + 1) * this.experts)),
      );
    return {
      ...{ language, documents, bytes, tokens },
      counts: rows(this.counts),
      probability: rows(this.probability.map((sum) => rounded(sum / tokens))),
      entropy: Array.from(this.entropy, (sum) => rounded(sum / tokens)),
      favourites: this.favourites(tokenizer),
      common: this.common(),
    };
  }

  private countsOf(token: number): Uint32Array {
    let found = this.seen.get(token);
    if (!found) this.seen.set(token, (found = new Uint32Array(this.layers * this.experts)));
    return found;
  }

  /** Times that a token occurred. */
  private occurrences(counts: Uint32Array): number {
    return counts.subarray(0, this.experts).reduce((sum, count) => sum + count, 0);
  }

  private forget(): void {
    this.seen = new Map(
      this.byFrequency()
        .slice(0, mostTokens / 2)
        .map(({ token, counts }) => [token, counts]),
    );
  }

  private byFrequency(): { token: number; counts: Uint32Array; of: number }[] {
    const all = Array.from(this.seen, ([token, counts]) => ({ token, counts, of: this.occurrences(counts) }));
    return all.sort((a, b) => b.of - a.of || a.token - b.token);
  }

  private common(): [token: number, count: number][] {
    return this.byFrequency()
      .slice(0, kept)
      .map(({ token, of }) => [token, of]);
  }

  /** Of each layer and expert, tokens by count · log(share of the token's occurrences / share of all tokens). */
  private favourites(tokenizer: Tokenizer): Favourite[][][] {
    const common = this.byFrequency().filter(({ of }) => of >= fewest);
    return Array.from({ length: this.layers }, (_, layer) =>
      Array.from({ length: this.experts }, (_, expert) => {
        const e = layer * this.experts + expert;
        const usual = this.counts[e]! / this.tokens;
        return common
          .map(({ token, counts, of }) => ({ token, of, count: counts[e]!, lift: counts[e]! / of / usual }))
          .filter(({ count, lift }) => count >= fewestSeen && lift > 1)
          .map((found) => ({ ...found, gain: found.count * Math.log(found.lift) }))
          .sort((a, b) => b.gain - a.gain || a.token - b.token)
          .slice(0, liked)
          .map(({ token, count, of }) => ({ token, text: spelled(tokenizer.bytes(token)), count, of }));
      }),
    );
  }
}

/** Six digits are more than sums of 32-bit numbers hold. */
const rounded = (value: number) => Number(value.toPrecision(6));

/** A token's text; bytes that are no text by themselves as "<E2>". */
function spelled(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // ASCII beside a part of a character stays readable.
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? String.fromCharCode(byte) : `<${byte.toString(16).toUpperCase()}>`,
    ).join("");
  }
}
