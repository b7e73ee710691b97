/** Many pieces of text through a model at once, as far as its last router: where each token went, and what the gates said. */
import { appendForward } from "../../kernels/attention/append_forward.ts";
import { attentionForward } from "../../kernels/attention/attention_forward.ts";
import { gateForward } from "../../kernels/moe/gate_forward.ts";
import { routeForward } from "../../kernels/moe/route_forward.ts";
import { LolaError } from "../base/errors.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { Program, Step, Tensor } from "../device/device.ts";
import { type Cache, createCache } from "../model/cache.ts";
import { type Activations, body, createActivations } from "../model/graph.ts";
import type { Model } from "../model/open.ts";

/** A model whose routing is looked at: one that is opened, or one that is being trained. */
export type RoutedModel = Pick<Model, "device" | "config" | "weights" | "tokenizer">;

/** Of the tokens of a pass, all pieces end to end. */
export interface Routing {
  /** [MoE layers][rows]: the expert of each. */
  experts: readonly Uint32Array[];
  /** [MoE layers][rows · experts]: the gate's probabilities. */
  probabilities: readonly Float32Array[];
}

/** Tokens of a pass, where the context is not larger: more gain nothing on a processor. */
const usualRows = 1024;

/** Each piece is a sequence of its own that sees nothing of the others; rows that are no token are not computed. */
export class RoutingPass {
  /** Tokens of one pass, at most. */
  readonly rows: number;
  private readonly activations: Activations;
  private readonly cache: Cache;
  /** [MoE layers]: f32 [R, E]. */
  private readonly probabilities: readonly Tensor[];
  private readonly program: Program;

  /**
   * @throws LolaError "usage" for a model without experts, "device" when the device has no room
   */
  constructor(readonly model: RoutedModel) {
    const { device, config, weights } = model;
    if (moeLayers(config).length === 0)
      throw new LolaError("usage", "the model has no layer of experts: nothing is routed", "another -m MODEL");
    this.rows = Math.max(usualRows, config.context);
    this.activations = createActivations(device, config, this.rows, weights);
    this.cache = createCache(device, config, 1, this.positions);
    const shape = [this.rows, config.experts];
    this.probabilities = moeLayers(config).map((layer) =>
      device.tensor({ label: `gate probabilities of layer ${layer}`, shape, type: "f32" }),
    );
    const steps = body(config, weights, this.cache, this.activations, "rows");
    const maxima = { rows: this.rows, context: config.context };
    this.program = device.program("routing", this.routed(steps), maxima);
  }

  /** Positions that the cache holds of all pieces together, each of them as long as the longest. */
  private get positions(): number {
    return 2 * this.rows;
  }

  /** Do so many pieces fit into a pass? @param longest tokens of the longest; @param tokens of all of them */
  fits(pieces: number, longest: number, tokens: number): boolean {
    return tokens <= this.rows && pieces * longest <= this.positions;
  }

  /**
   * @param pieces that fit, each of at least one token and at most the context
   * @throws DOMException AbortError after `signal`
   */
  async run(pieces: readonly Uint32Array[], signal?: AbortSignal): Promise<Routing> {
    const { device, config } = this.model;
    const { token, seq, pos, expert } = this.activations;
    const rows = pieces.reduce((sum, { length }) => sum + length, 0);
    const inputs = [token, seq, pos].map((tensor) => ({ tensor, values: new Uint32Array(rows) }));
    const [tokens, sequences, positions] = inputs.map(({ values }) => values) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    let row = 0;
    for (const [i, piece] of pieces.entries()) {
      tokens.set(piece, row);
      sequences.fill(i, row, row + piece.length);
      for (let t = 0; t < piece.length; t++) positions[row + t] = t;
      row += piece.length;
    }
    for (const { tensor, values } of inputs) device.upload(tensor, new Uint8Array(values.buffer));
    // The cache is cut into as many sequences as the longest piece leaves room for.
    const context = Math.max(...pieces.map(({ length }) => length));
    const read = [expert, ...this.probabilities];
    const [chosen, ...gates] = await device.run(this.program, { rows, context }, { read, ...(signal && { signal }) });
    return {
      experts: gates.map(
        (_, layer) => new Uint32Array(chosen!.buffer, chosen!.byteOffset + 4 * layer * this.rows, rows),
      ),
      probabilities: gates.map(({ buffer, byteOffset }) => new Float32Array(buffer, byteOffset, rows * config.experts)),
    };
  }

  /** The steps up to the last router, routers with all that their gates say, the cache's length a variable. */
  private routed(steps: readonly Step[]): Step[] {
    const last = steps.findLastIndex(({ kernel }) => kernel === routeForward);
    let layer = 0;
    return steps.slice(0, last + 1).map((step) => {
      const { kernel, bindings, params } = step;
      if (kernel === appendForward || kernel === attentionForward)
        return { kernel, bindings, params: { ...params, context: "context" } };
      if (kernel !== routeForward) return step;
      return { kernel: gateForward, bindings: { ...bindings, probs: this.probabilities[layer++]! }, params };
    });
  }
}
