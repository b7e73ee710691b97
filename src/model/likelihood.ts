/** How likely a model finds given tokens: one forward pass over many sequences, losses computed on the device. */
import { crossEntropyBackward } from "../../kernels/loss/cross_entropy_backward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Device, Program, Tensor } from "../device/device.ts";
import { type Activations, body, createActivations, createCache, norm } from "./graph.ts";
import { logitsSteps } from "./products.ts";
import { bytesOf, logitsRows } from "./training-buffers.ts";
import type { Weights } from "./weights.ts";

/** A sequence to score: `targets[i]` is what should follow `tokens[i]` and all before it. */
export interface Scored {
  tokens: Uint32Array;
  targets: Uint32Array;
}

export class Likelihood {
  private readonly rows: Activations;
  private readonly targets: Tensor;
  private readonly nll: Tensor;
  private readonly program: Program;

  /**
   * @param batch sequences of one pass, each of at most `context` tokens
   * @throws LolaError "device" when the device has no room
   */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    weights: Weights,
    readonly batch: number,
  ) {
    const { context, vocabulary, width } = config;
    const most = batch * context;
    const block = logitsRows(most, vocabulary);
    const cache = createCache(device, config, batch, context);
    const a = (this.rows = createActivations(device, config, most));
    this.targets = device.tensor({ label: "targets", shape: [most], type: "u32" });
    this.nll = device.tensor({ label: "nll", shape: [most], type: "f32" });
    const logits = device.tensor({ label: "logits", shape: [block, vocabulary], type: "f32" });
    const steps = [...body(config, weights, cache, a, most), norm(config, weights.norm, a.x, a.y, most)];
    for (let at = 0; at < most; at += block) {
      const rows = Math.min(block, most - at);
      steps.push(...logitsSteps(config, weights, device.view(a.y, at * width, [rows, width]), logits, rows), {
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
    const [bytes] = await device.run(this.program, {}, { read: [this.nll] });
    const nll = new Float32Array(bytes!.slice().buffer);
    return sequences.map(({ targets }, i) => nll.slice(i * context, i * context + targets.length));
  }
}
