/** Which experts of a layer can best be done without, and what the others then do. */

/** What a layer's experts would each make of the tokens that reach it. */
export interface ExpertOutputs {
  rows: number;
  experts: number;
  /** Of the gate: [rows, experts]. */
  logits: Float32Array;
  /** ‖f‖² of each expert's output f for each token, and its product with what the layer says with all experts: [rows, experts]. */
  norms: Float64Array;
  products: Float64Array;
}

/** How tokens go without the other experts. */
export interface Kept {
  /** Ascending. */
  experts: number[];
  /** Of each token: its expert, by its old number, and the probability that scales it. */
  route: Uint32Array;
  probability: Float32Array;
  /** By which each kept expert's output comes nearest to what the layer said; 1 where no token reaches it. */
  scales: number[];
  /** Σ of squares by which what the layer says comes nearer than silence. */
  gain: number;
}

/**
 * Leaves out one expert after the other, each time the one whose tokens the rest serves best: by the squared error of the layer's
 * output, every expert's own scaled as fits. A probability grows as others leave the softmax, and a token that lost its expert is
 * in worse hands: both make scales below 1.
 * @param keep 1 to all of them
 */
export function chooseExperts(outputs: ExpertOutputs, keep: number): Kept {
  let best = serve(
    outputs,
    Array.from({ length: outputs.experts }, (_, e) => e),
  );
  while (best.experts.length > keep) {
    const rest = best.experts.map((gone) =>
      serve(
        outputs,
        best.experts.filter((e) => e !== gone),
      ),
    );
    best = rest.reduce((a, b) => (b.gain > a.gain ? b : a));
  }
  return best;
}

/** What these experts make of all tokens. */
function serve({ rows, experts: all, logits, norms, products }: ExpertOutputs, experts: number[]): Kept {
  const route = new Uint32Array(rows);
  const probability = new Float32Array(rows);
  const [wanted, own] = [new Float64Array(all), new Float64Array(all)];
  for (let t = 0; t < rows; t++) {
    const at = t * all;
    let first = experts[0]!;
    for (const e of experts) if (logits[at + e]! > logits[at + first]!) first = e;
    let sum = 0;
    for (const e of experts) sum += Math.exp(logits[at + e]! - logits[at + first]!);
    route[t] = first;
    probability[t] = 1 / sum;
    wanted[first]! += products[at + first]! / sum;
    own[first]! += norms[at + first]! / sum ** 2;
  }
  const used = experts.map((e) => (own[e]! > 0 ? wanted[e]! / own[e]! : undefined));
  return {
    experts,
    route,
    probability,
    scales: used.map((scale) => scale ?? 1),
    gain: experts.reduce((sum, e, i) => sum + (used[i] ?? 0) * wanted[e]!, 0),
  };
}
