/** What reaches a model's experts, and what each of them would make of any of it. */
import { routeForward } from "../../kernels/moe/route_forward.ts";
import { moeLayers } from "../checkpoint/config.ts";
import type { Device, Program, Tensor } from "../device/device.ts";
import { createCache } from "../model/cache.ts";
import { type Activations, body, createActivations } from "../model/graph.ts";
import type { Model } from "../model/open.ts";
import { downSteps, upSteps } from "../model/products.ts";

/** Tokens of a sequence, at most. */
const longest = 512;
/** Rows from which on the graph groups them by expert. */
const fewestRows = 8;

/** An expert's work, before and after its second matrix: [rows, inner] and [rows, width]. */
export interface ExpertWork {
  hidden: Float32Array;
  output: Float32Array;
}

export class ExpertTrace {
  readonly window: number;
  private readonly device: Device;
  private readonly activations: Activations;
  /** The forward pass, up to the gate of each mixture. */
  private readonly segments: Program[];
  /** [MoE layer]: all rows through one expert. */
  private readonly mixtures: Program[];
  private readonly ones: Tensor;
  private readonly sum: Tensor;

  /** @throws LolaError "device" when the device has no room */
  constructor(private readonly model: Model) {
    const { device, config, weights } = model;
    this.device = device;
    this.window = Math.min(config.context, longest);
    const capacity = Math.max(fewestRows, this.window);
    const a = (this.activations = createActivations(device, config, capacity, weights));
    this.ones = device.tensor({ label: "ones", shape: [capacity], type: "f32" });
    this.sum = device.tensor({ label: "outputs", shape: [capacity, config.width], type: "f32" });
    device.upload(this.ones, bytesOf(new Float32Array(capacity).fill(1)));
    const maxima = { rows: capacity };
    const steps = body(config, weights, createCache(device, config, 1, this.window), a, "rows");
    const gates = steps.flatMap(({ kernel }, i) => (kernel === routeForward ? [i] : []));
    this.segments = gates.map((gate, i) =>
      device.program(`as far as mixture ${i}`, steps.slice(gates[i - 1] ?? 0, gate), maxima),
    );
    const { y, h, order, start } = a;
    this.mixtures = moeLayers(config).map((layer) => {
      const { up, down } = weights.layers[layer]!;
      const first = upSteps(up, { x: y, order, start, h }, "rows", 1);
      const second = downSteps(down, { h, order, start, prob: this.ones, y: this.sum }, "rows", 0);
      return device.program(`experts of layer ${layer}`, [...first, ...second], maxima);
    });
  }

  get width(): number {
    return this.model.config.width;
  }

  get inner(): number {
    return this.model.config.inner;
  }

  /** Of each mixture. */
  get experts(): number {
    return this.model.config.experts;
  }

  /**
   * What a document's tokens bring to each mixture: [MoE layer], [tokens, width]; sequences of at most `window` tokens.
   * @throws DOMException AbortError after `signal`
   */
  async inputs(ids: readonly number[], signal?: AbortSignal): Promise<Float32Array[]> {
    const { device, activations, segments, window, width } = this;
    const found = segments.map(() => new Float32Array(ids.length * width));
    for (let at = 0; at < ids.length; at += window) {
      const some = Uint32Array.from(ids.slice(at, at + window));
      device.upload(activations.token, bytesOf(some));
      device.upload(activations.pos, bytesOf(some.map((_, t) => t)));
      for (const [i, segment] of segments.entries()) {
        const options = { read: [activations.y], ...(signal && { signal }) };
        const [y] = await device.run(segment, { rows: some.length }, options);
        found[i]!.set(floats(y!).subarray(0, some.length * width), at * width);
      }
    }
    return found;
  }

  /**
   * All rows through one expert, whatever the gate says of them.
   * @param layer which of the mixtures
   * @param inputs [rows, width]
   * @throws DOMException AbortError after `signal`
   */
  async work(layer: number, expert: number, inputs: Float32Array, signal?: AbortSignal): Promise<ExpertWork> {
    const { device, activations, sum, width, inner, experts: all } = this;
    const { capacity, y, h, order, start } = activations;
    const rows = inputs.length / width;
    const hidden = new Float32Array(rows * inner);
    const output = new Float32Array(rows * width);
    device.upload(order, bytesOf(Uint32Array.from({ length: capacity }, (_, t) => t)));
    for (let at = 0; at < rows; at += capacity) {
      const some = Math.min(capacity, rows - at);
      device.upload(y, bytesOf(inputs.subarray(at * width, (at + some) * width)));
      device.upload(start, bytesOf(Uint32Array.from({ length: all + 1 }, (_, e) => (e <= expert ? 0 : some))));
      device.upload(sum, new Uint8Array(sum.bytes));
      const options = { read: [h, sum], ...(signal && { signal }) };
      const [first, second] = await device.run(this.mixtures[layer]!, { rows: some }, options);
      hidden.set(floats(first!).subarray(0, some * inner), at * inner);
      output.set(floats(second!).subarray(0, some * width), at * width);
    }
    return { hidden, output };
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);
const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
