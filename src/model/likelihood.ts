/** How likely a model finds given tokens: one forward pass over many sequences, losses computed on the device. */
import { crossEntropyBackward } from "../../kernels/loss/cross_entropy_backward.ts";
import { sampleForward } from "../../kernels/sample/sample_forward.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device, Program, Step, Tensor } from "../device/device.ts";
import { adapterSteps } from "./adapter-steps.ts";
import { type Cache, createCache, viewCache } from "./cache.ts";
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

/** How the rows of a pass are shared out: `count` sequences of up to `length` tokens. */
interface Layout {
  length: number;
  count: number;
  program: Program;
}

/** Shorter sequences are laid out as ones of this length. */
const shortest = 32;

export class Likelihood {
  private readonly rows: Activations;
  private readonly cache: Cache;
  private readonly targets: Tensor;
  private readonly nll: Tensor;
  private readonly logits: Tensor;
  private readonly best?: Tensor;
  private readonly greedy?: (rows: number, token: Tensor) => Step;
  private readonly layouts = new Map<number, Layout>();

  /**
   * @param batch sequences of one pass, each of at most `context` tokens; of shorter ones more
   * @param observed whether `observe` will be called
   * @throws LolaError "device" when the device has no room
   */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly weights: Weights,
    readonly batch: number,
    observed = false,
  ) {
    const { context, vocabulary } = config;
    const most = batch * context;
    const block = logitsRows(most, vocabulary);
    this.cache = createCache(device, config, batch, context);
    this.rows = createActivations(device, config, most, weights);
    this.targets = device.tensor({ label: "targets", shape: [most], type: "u32" });
    this.nll = device.tensor({ label: "nll", shape: [most], type: "f32" });
    this.logits = device.tensor({ label: "logits", shape: [block, vocabulary], type: "f32" });
    if (!observed) return;
    this.best = device.tensor({ label: "best", shape: [most], type: "u32" });
    this.greedy = greedyStep(device, vocabulary, block, this.logits);
  }

  /** How many sequences of up to `length` tokens one pass takes. */
  room(length: number): number {
    return Math.floor((this.batch * this.config.context) / this.lengthFor(length));
  }

  /**
   * Negative log-likelihood, in nats, of each target given its tokens so far.
   * @param sequences as many as there is room for, each of at most `context` tokens
   */
  async score(sequences: readonly Scored[]): Promise<Float32Array[]> {
    const layout = this.layoutFor(sequences);
    const [nll] = await this.run(layout, sequences, [this.nll]);
    return losses(layout, sequences, nll!);
  }

  /** The same, and what else was seen on the way. @param sequences as for `score` */
  async observe(sequences: readonly Scored[]): Promise<Observed[]> {
    if (!this.best) throw new Error("a likelihood that was not made to observe");
    const { config, batch, rows } = this;
    const layout = this.layoutFor(sequences);
    const [nll, best, expert] = await this.run(layout, sequences, [this.nll, this.best, rows.expert]);
    const nats = losses(layout, sequences, nll!);
    const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
    const [chosen, routed] = [words(best!), words(expert!)];
    const most = batch * config.context;
    return sequences.map(({ tokens: { length } }, i) => {
      const part = (all: Uint32Array, from: number) => all.slice(from, from + length);
      return {
        losses: nats[i]!,
        best: part(chosen, i * layout.length),
        experts: moeLayers(config).map((_, layer) => part(routed, layer * most + i * layout.length)),
      };
    });
  }

  private lengthFor(longest: number): number {
    return Math.min(this.config.context, Math.max(shortest, 2 ** Math.ceil(Math.log2(longest))));
  }

  private layoutFor(sequences: readonly Scored[]): Layout {
    const longest = Math.max(1, ...sequences.map(({ tokens }) => tokens.length));
    const length = this.lengthFor(longest);
    const count = this.room(longest);
    if (longest > length || sequences.length > count)
      throw new RangeError(`${sequences.length} sequences of up to ${longest} tokens, room for ${count} of ${length}`);
    const known = this.layouts.get(length);
    if (known) return known;
    const layout = { length, count, program: this.programFor(length, count) };
    this.layouts.set(length, layout);
    return layout;
  }

  /** All rows, the cache seen as that of `count` sequences of `length`. */
  private programFor(length: number, count: number): Program {
    const { device, config, weights, rows: a, targets, nll, logits, best, greedy } = this;
    const { vocabulary, width } = config;
    const used = count * length;
    const cache = viewCache(device, config, this.cache, count, length);
    const steps = [...body(config, weights, cache, a, used), norm(config, weights.norm, a.x, a.y, used)];
    for (let at = 0; at < used; at += logits.shape[0]!) {
      const rows = Math.min(logits.shape[0]!, used - at);
      const final = device.view(a.y, at * width, [rows, width]);
      steps.push(...logitsSteps(config, weights, final, logits, rows));
      steps.push(...adapterSteps(weights.head, final, logits, a.adapted?.low, rows));
      if (greedy) steps.push(greedy(rows, device.view(best!, at, [rows])));
      steps.push({
        kernel: crossEntropyBackward,
        bindings: { targets, logits, nll },
        params: { rows, vocabulary, at, scale: 0 },
      });
    }
    return device.program(`likelihood ${length}`, steps);
  }

  private async run(
    { length, count, program }: Layout,
    sequences: readonly Scored[],
    read: Tensor[],
  ): Promise<Uint8Array[]> {
    const used = count * length;
    const [token, seq, pos] = [new Uint32Array(used), new Uint32Array(used), new Uint32Array(used)];
    const targets = new Uint32Array(used).fill(this.config.vocabulary);
    for (let row = 0; row < used; row++) {
      seq[row] = Math.floor(row / length);
      pos[row] = row % length;
    }
    for (const [i, sequence] of sequences.entries()) {
      token.set(sequence.tokens, i * length);
      targets.set(sequence.targets, i * length);
    }
    const { device, rows } = this;
    device.upload(rows.token, bytesOf(token));
    device.upload(rows.seq, bytesOf(seq));
    device.upload(rows.pos, bytesOf(pos));
    device.upload(this.targets, bytesOf(targets));
    return device.run(program, {}, { read });
  }
}

function losses({ length }: Layout, sequences: readonly Scored[], bytes: Uint8Array): Float32Array[] {
  const nll = new Float32Array(bytes.slice().buffer);
  return sequences.map(({ targets }, i) => nll.slice(i * length, i * length + targets.length));
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
