/** Batches of packed examples: a pure function of the seed and a small cursor. */
import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { seedWords } from "../base/random.ts";
import { type ExampleTokens, idOf, isCounted } from "./example-tokens.ts";
import { orderKey, type Packing, packEpoch } from "./packing.ts";

/** Where training stands in its examples; JSON. */
export interface ExampleCursor {
  epoch: number;
  /** Rows of this epoch taken so far. */
  row: number;
}

/** Rows of T tokens, end to end. */
export interface ExampleRows {
  /** [B · T] */
  inputs: Uint32Array;
  /** [B · T] `ignored` where nothing is learnt. */
  targets: Uint32Array;
}

export interface ExampleBatchOptions {
  tokens: ExampleTokens;
  /** Numbers of the examples to take, each of at most T tokens. */
  examples: Uint32Array;
  eos: number;
  /** Rows, B. */
  batch: number;
  /** Tokens of a row, T. */
  context: number;
  seed: bigint;
  /** Where to go on; from the beginning without it. */
  cursor?: ExampleCursor;
}

/**
 * Endless batches. An epoch takes every example once, in an order of its own, packed whole into rows; a batch may begin in
 * one epoch and end in the next.
 *
 * A row reads: an eos, then its examples, each ending in an eos, then eos to the end; each token's target is the next. So
 * every example begins behind an eos, as documents do in pre-training, and every one of its tokens can be a target.
 */
export class ExampleBatches {
  private epoch: number;
  private row: number;
  private packing: Packing;
  private readonly key: [number, number];
  private readonly options: Omit<ExampleBatchOptions, "cursor">;

  /** @throws DataError (data.cursor) where the cursor is of other examples; LolaError "usage" where there are none */
  constructor({ cursor = { epoch: 0, row: 0 }, ...options }: ExampleBatchOptions) {
    if (options.examples.length === 0) {
      throw new LolaError("usage", "no examples to train on", "more examples, or a lower --validation");
    }
    this.options = options;
    this.key = orderKey(seedWords(options.seed));
    this.epoch = cursor.epoch;
    this.row = cursor.row;
    this.packing = this.packed(this.epoch);
    if (this.row > rowsOf(this.packing)) {
      const found = `row ${this.row} of epoch ${this.epoch}, which has ${rowsOf(this.packing)}`;
      throw new DataError("data.cursor", `the saved place in the examples is ${found}`, "the data the run began with");
    }
  }

  /** Where to go on after the batches so far. */
  get cursor(): ExampleCursor {
    return { epoch: this.epoch, row: this.row };
  }

  /** Rows of the first so many epochs. */
  rows(epochs: number): number {
    let sum = 0;
    for (let epoch = 0; epoch < epochs; epoch++) sum += rowsOf(this.packed(epoch));
    return sum;
  }

  next(): ExampleRows {
    const { batch, context, tokens, eos } = this.options;
    const rows = emptyRows(batch, context, eos);
    for (let b = 0; b < batch; b++) {
      if (this.row === rowsOf(this.packing)) {
        this.packing = this.packed(++this.epoch);
        this.row = 0;
      }
      const { examples, starts } = this.packing;
      fillRow(rows, b * context, tokens, examples.subarray(starts[this.row], starts[this.row + 1]), eos);
      this.row++;
    }
    return rows;
  }

  private packed(epoch: number): Packing {
    const { tokens, examples, context } = this.options;
    const { starts } = tokens;
    return packEpoch(examples, (i) => starts[i + 1]! - starts[i]!, context, this.key, epoch);
  }
}

/** Rows of eos, of which nothing is learnt. */
export function emptyRows(batch: number, context: number, eos: number): ExampleRows {
  const inputs = new Uint32Array(batch * context).fill(eos);
  return { inputs, targets: new Uint32Array(batch * context).fill(ignored) };
}

/** Writes examples into the row that begins at `at`. */
export function fillRow(
  { inputs, targets }: ExampleRows,
  at: number,
  { words, starts }: ExampleTokens,
  examples: Uint32Array,
  eos: number,
): void {
  let previous = eos;
  for (const example of examples) {
    for (let i = starts[example]!; i < starts[example + 1]!; i++, at++) {
      const word = words[i]!;
      inputs[at] = previous;
      previous = idOf(word);
      if (isCounted(word)) targets[at] = previous;
    }
  }
}

function rowsOf({ starts }: Packing): number {
  return starts.length - 1;
}
