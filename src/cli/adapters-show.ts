/** What is told of merged models, to people and to programs. */
import type { FloatType } from "../base/float.ts";
import type { MergeCheck } from "../evaluate/merged.ts";
import { bytes } from "./style.ts";

/** What `lola merge --json` prints, its keys in snake_case. */
export interface Merged {
  model: string;
  adapters: { name: string; strength: number }[];
  path: string;
  identity: string;
  fileBytes: number;
  /** Matrices with adapters, and how many of them were quantized. */
  changed: number;
  dequantized: number;
  /** What they are stored in. */
  type: FloatType;
  check: MergeCheck;
  device: { kind: string; name: string };
  seconds: number;
}

/** For people. */
export function showMerged({ path, fileBytes, identity, model, adapters, ...merged }: Merged): string {
  const { changed, dequantized, type, check } = merged;
  const { tokens, compared, gap, effect, ties } = check;
  const likeliest = ties === 0 ? "the likeliest token is the same" : `the likeliest tokens differ in ${ties} ties`;
  const most = `${likeliest}, logits differ by ${gap.toPrecision(2)} at most, where the adapters move them by up to ${effect.toPrecision(2)}`;
  return [
    `${path}: ${bytes(fileBytes)}, ${adapters.map(({ name }) => name).join(", ")} merged into ${model}`,
    `identity ${identity}`,
    `${changed} matrices changed; stored as ${type}`,
    ...(dequantized > 0 ? [`${dequantized} of them were quantized; lola quantize makes the file small again`] : []),
    `held against the base with adapters at run time, on ${tokens} fixed tokens: ${most}`,
    ...(compared < tokens ? [`left out: ${tokens - compared} tokens, whose experts are others by rounding`] : []),
    ...(effect > 0
      ? []
      : ["none of these tokens passes a matrix with an adapter: only the weights show that it is there"]),
  ].join("\n");
}
