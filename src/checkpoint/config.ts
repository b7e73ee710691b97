/** The shape of a LOLA model: what `config.json` of the published layout says, in this project's names (spec §1.1). */

export interface ModelConfig {
  /** Architecture; the key under which `src/model` finds its graph. */
  family: "lola_v1";
  /** Rows of the embedding, dummy rows after the tokenizer's last id included. */
  vocabulary: number;
  /** Learned positions: the longest sequence, in tokens. */
  context: number;
  /** Channels of the residual stream. */
  width: number;
  layers: number;
  heads: number;
  /** Channels between the two matrices of a feed-forward layer. */
  inner: number;
  /** Experts of each odd (0-based) layer; even layers are dense. */
  experts: number;
  normEpsilon: number;
  bos: number;
  eos: number;
  pad: number;
}

/** Odd 0-based layers are mixtures, even ones dense (spec §1.2). */
export function isMoe(layer: number): boolean {
  return layer % 2 === 1;
}

/** Layers that are mixtures of experts, ascending: [1, 3, …]. */
export function moeLayers(config: Pick<ModelConfig, "layers">): number[] {
  return Array.from({ length: config.layers }, (_, i) => i).filter(isMoe);
}
