/** How likely a model finds given tokens: one forward pass over many sequences, losses computed on the device. */
import { crossEntropyBackward } from "../../kernels/loss/cross_entropy_backward.ts";
import { sampleForward } from "../../kernels/sample/sample_forward.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device, Program, Step, Tensor } from "../device/device.ts";
import { adapterSteps } from "./adapter-steps.ts";
import { createCache } from "./cache.ts";
import { type Activations, body, createActivations, norm } from "./graph.ts";
import { logitsSteps } from "./products.ts";
import { bytesOf, logitsRows } from "./training-buffers.ts";
import type { Weights } from "./weights.ts";

/** A sequence to score: `targets[i]` is what should follow `tokens[i]` and all before it. */
export interface Scored {
  tokens: Uint32Array;
  targets: Uint32Array;
}

/** What a model made of each token of a sequence. */
export interface Observed {
  /** Nats. */
  losses: Float32Array;
  /** The token that it found likeliest to follow, the lowest of equals. */
  best: Uint32Array;
  /** The expert that it sent the token to, in each MoE layer. */
  experts: Uint32Array[];
}

export class Likelihood {
  private readonly rows: Activations;
  private readonly targets: Tensor;
  private readonly nll: Tensor;
  private readonly program: Program;
  private readonly best?: Tensor;

  /**
   * @param batch sequences of one pass, each of at most `context` tokens
   * @param observed whether `observe` will be called
   * @throws LolaError "device" when the device has no room
   */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    weights: Weights,
    readonly batch: number,
    observed = false,
  ) {
    const { context, vocabulary, width } = config;
    const most = batch * context;
    const block = logitsRows(most, vocabulary);
    const cache = createCache(device, config, batch, context);
    const a = (this.rows = createActivations(device, config, most, weights));
    this.targets = device.tensor({ label: "targets", shape: [most], type: "u32" });
    this.nll = device.tensor({ label: "nll", shape: [most], type: "f32" });
    const logits = device.tensor({ label: "logits", shape: [block, vocabulary], type: "f32" });
    if (observed) this.best = device.tensor({ label: "best", shape: [most], type: "u32" });
    const greedy = this.best && greedyStep(device, vocabulary, block, logits);
    const steps = [...body(config, weights, cache, a, most), norm(config, weights.norm, a.x, a.y, most)];
    for (let at = 0; at < most; at += block) {
      const rows = Math.min(block, most - at);
      const final = device.view(a.y, at * width, [rows, width]);
      steps.push(...logitsSteps(config, weights, final, logits, rows));
      steps.push(...adapterSteps(weights.head, final, logits, a.adapted?.low, rows));
      if (greedy) steps.push(greedy(rows, device.view(this.best!, at, [rows])));
      steps.push({
        kernel: crossEntropyBackward,
        bindings: { targets: this.targets, logits, nll: this.nll },
        params: { rows, vocabulary, at, scale: 0 },
      });
    }
    this.program = device.program("likelihood", steps);
  }

  /**
   * Negative log-likelihood, in nats, of each target given its tokens so far.
   * @param sequences at most `batch`, each of at most `context` tokens
   */
  async score(sequences: readonly Scored[]): Promise<Float32Array[]> {
    const [nll] = await this.run(sequences, [this.nll]);
    return this.losses(sequences, nll!);
  }

  /** The same, and what else was seen on the way. @param sequences as for `score` */
  async observe(sequences: readonly Scored[]): Promise<Observed[]> {
    if (!this.best) throw new Error("a likelihood that was not made to observe");
    const { config, batch, rows } = this;
    const [nll, best, expert] = await this.run(sequences, [this.nll, this.best, rows.expert]);
    const losses = this.losses(sequences, nll!);
    const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
    const [chosen, routed] = [words(best!), words(expert!)];
    const most = batch * config.context;
    return sequences.map(({ tokens: { length } }, i) => {
      const part = (all: Uint32Array, from: number) => all.slice(from, from + length);
      return {
        losses: losses[i]!,
        best: part(chosen, i * config.context),
        experts: moeLayers(config).map((_, layer) => part(routed, layer * most + i * config.context)),
      };
    });
  }

  private losses(sequences: readonly Scored[], bytes: Uint8Array): Float32Array[] {
    const nll = new Float32Array(bytes.slice().buffer);
    const { context } = this.config;
    return sequences.map(({ targets }, i) => nll.slice(i * context, i * context + targets.length));
  }

  private async run(sequences: readonly Scored[], read: Tensor[]): Promise<Uint8Array[]> {
    const { context, vocabulary } = this.config;
    const most = this.batch * context;
    const [token, seq, pos] = [new Uint32Array(most), new Uint32Array(most), new Uint32Array(most)];
    const targets = new Uint32Array(most).fill(vocabulary);
    for (let row = 0; row < most; row++) {
      seq[row] = Math.floor(row / context);
      pos[row] = row % context;
    }
    for (const [i, sequence] of sequences.entries()) {
      token.set(sequence.tokens, i * context);
      targets.set(sequence.targets, i * context);
    }
    const { device, rows } = this;
    device.upload(rows.token, bytesOf(token));
    device.upload(rows.seq, bytesOf(seq));
    device.upload(rows.pos, bytesOf(pos));
    device.upload(this.targets, bytesOf(targets));
    return device.run(this.program, {}, { read });
  }
}

/** The likeliest token of each row of a block of logits. */
function greedyStep(device: Device, vocabulary: number, block: number, logits: Tensor) {
  const scratch = (label: string, type: "f32" | "u32", ...shape: number[]) => device.tensor({ label, shape, type });
  const [seen, pos] = [scratch("seen", "u32", block, vocabulary), scratch("drawn", "u32", block)];
  const logprob = scratch("logprob", "f32", block);
  const off = { temperature: 0, top_k: 0, top_p: 1, min_p: 0, penalty: 1, seed_low: 0, seed_high: 0, stream: 0 };
  return (rows: number, token: Tensor): Step => ({
    kernel: sampleForward,
    bindings: { logits, seen, token, pos, logprob },
    params: { rows, vocabulary, allowed: vocabulary, ...off },
  });
}
