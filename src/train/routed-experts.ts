/** Which experts a set of examples uses: those that together see most of its tokens, layer by layer. */
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { idOf } from "../data/example-tokens.ts";
import type { ExampleSet } from "../data/examples.ts";
import type { Device } from "../device/device.ts";
import { Likelihood } from "../model/likelihood.ts";
import { loadModel } from "../model/open.ts";

/** Of one MoE layer. */
export interface RoutedExperts {
  layer: number;
  /** The fewest that reach the share, ascending. */
  experts: number[];
  /** Of the tokens, by all experts, and by those. */
  shares: number[];
  covered: number;
}

/** Tokens that are looked at, about. */
const sampled = 32_768;

/**
 * Runs a sample of the examples to learn from, evenly spread, through a model.
 * @param share of each layer's tokens that the chosen experts are to see, above 0 to 1
 * @throws LolaError "device" when the model does not fit
 */
export async function routedExperts(
  device: Device,
  source: ModelSource,
  { tokens: { words, starts }, train }: ExampleSet,
  share: number,
  onProgress?: (share: number) => void,
): Promise<RoutedExperts[]> {
  const { eos, context, experts } = source.config;
  const likelihood = new Likelihood(device, source.config, loadModel(device, source).weights, 1, true);
  const layers = moeLayers(source.config);
  const seen = layers.map(() => new Array<number>(experts).fill(0));
  const all = train.reduce((sum, i) => sum + starts[i + 1]! - starts[i]!, 0);
  const stride = Math.max(1, all / sampled);
  for (let at = 0; at < train.length; at += stride) {
    const example = train[Math.floor(at)]!;
    const ids = Uint32Array.from(words.subarray(starts[example]!, starts[example + 1]!), idOf);
    const inputs = Uint32Array.of(eos, ...ids.subarray(0, Math.min(ids.length, context) - 1));
    const [observed] = await likelihood.observe([{ tokens: inputs, targets: ids.subarray(0, inputs.length) }]);
    for (const [layer, chosen] of observed!.experts.entries()) for (const expert of chosen) seen[layer]![expert]!++;
    onProgress?.(at / train.length);
  }
  return seen.map((counts, i) => covering(layers[i]!, counts, share));
}

function covering(layer: number, counts: readonly number[], share: number): RoutedExperts {
  const all = counts.reduce((a, b) => a + b, 0);
  const shares = counts.map((count) => count / all);
  const order = [...shares.keys()].sort((a, b) => shares[b]! - shares[a]! || a - b);
  const experts: number[] = [];
  let covered = 0;
  for (const expert of order) {
    if (experts.length > 0 && covered >= share) break;
    experts.push(expert);
    covered += shares[expert]!;
  }
  return { layer, experts: experts.sort((a, b) => a - b), shares, covered };
}
