/** The rows of held-out examples that a run is measured on: the same ones each time, each of one language. */
import { ignored } from "../../kernels/loss/cross_entropy_backward.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type ExampleRows, emptyRows, fillRow } from "./example-batches.ts";
import type { ExampleSet } from "./examples.ts";
import { packRows } from "./packing.ts";

export interface ExampleValidationRow extends ExampleRows {
  /** Index into the languages. */
  language: number;
  /** Targets that count. */
  counted: number;
  /** Their UTF-8 bytes, an eos counting none: bits per byte = Σ −log₂ p / Σ bytes. */
  bytes: number;
}

/**
 * At most `most` rows of each language, of examples evenly spread over its held-out ones.
 * @param context T, as of openExamples
 */
export function exampleValidationRows(
  { tokens, validation, summary }: ExampleSet,
  tokenizer: Tokenizer,
  eos: number,
  context: number,
  most: number,
): ExampleValidationRow[] {
  const { starts, languages } = tokens;
  const lengthOf = (i: number) => starts[i + 1]! - starts[i]!;
  return summary.languages.flatMap((_, language) => {
    const own = validation.filter((i) => languages[i] === language);
    const packing = packRows(own, lengthOf, context);
    const count = packing.starts.length - 1;
    const taken = Math.min(count, most);
    return Array.from({ length: taken }, (_, i) => {
      const row = Math.floor((i * count) / taken);
      const rows = emptyRows(1, context, eos);
      fillRow(rows, 0, tokens, packing.examples.subarray(packing.starts[row], packing.starts[row + 1]), eos);
      return { ...rows, language, ...sizesOf(rows.targets, tokenizer, eos) };
    });
  });
}

function sizesOf(targets: Uint32Array, tokenizer: Tokenizer, eos: number): { counted: number; bytes: number } {
  const sizes = { counted: 0, bytes: 0 };
  for (const id of targets) {
    if (id === ignored) continue;
    sizes.counted++;
    if (id !== eos) sizes.bytes += tokenizer.bytes(id).length;
  }
  return sizes;
}
