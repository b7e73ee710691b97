/** What is trained of a model, and what is only passed through: tensors on the device, found by their stored names. */
import { adapterTensors } from "../checkpoint/adapter.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import { expectedTensors } from "../checkpoint/layout.ts";
import type { TensorStream, TensorType } from "../checkpoint/tensor.ts";
import { type Device, elements, type Tensor } from "../device/device.ts";
import { attachAdapters, placeAdapter } from "../model/adapter.ts";
import type { TrainingShape } from "../model/training-buffers.ts";
import type { Gradients } from "../model/training-gradients.ts";
import { fillWeight, type Placement, placeWeights, type WeightSource, type Weights } from "../model/weights.ts";
import type { MatrixParameter } from "./muon.ts";

/** A model that is trained in part, or only passed through on the way to an adapter. */
export interface Base {
  /** How a tensor that is not trained is kept: its stored type. */
  typeOf(name: string): TensorType;
  /** Is a tensor trained, as f32? Of a matrix or a norm's weight and its bias both are, or none. */
  trains(name: string): boolean;
}

/** A model all of which is trained. */
const wholly: Base = { typeOf: () => "f32", trains: () => true };

/** What may be read back and stored by name. */
export type Stored = "weights" | "gradients" | "m" | "v";

/** One parameter tensor with what belongs to it, all of one layout, as rows; a matrix of the model's also as such. */
export interface Parameter extends Record<"w" | "g" | "m" | "v", Tensor> {
  decays: boolean;
  matrix?: MatrixParameter;
}

/** Bytes of tensors read back before their memory is collected. */
const collectAfter = 8 << 20;

export class Parameters {
  /** An adapter is attached as training wants it, its scale left to the steps: other graphs would add too much or too little. */
  readonly weights: Weights;
  readonly gradients: Gradients;
  /** In the order of the places. */
  readonly list: readonly Parameter[];
  private readonly base: readonly Placement[];
  private readonly trained: readonly Placement[];
  private readonly state = new Map<Tensor, Record<Stored, Tensor>>();
  private readonly shapes: ReadonlyMap<string, number[]>;

  /** @throws LolaError "device" when it does not fit */
  constructor(
    private readonly device: Device,
    config: ModelConfig,
    { adapter }: Pick<TrainingShape, "adapter">,
    { typeOf, trains }: Base = wholly,
  ) {
    const stored = (name: string) => (trains(name) ? "f32" : typeOf(name));
    const { weights, places } = placeWeights(device, config, stored, undefined, undefined, trains);
    const placed = adapter && placeAdapter(device, config, adapter);
    this.weights = placed ? attachAdapters(weights, [placed]) : weights;
    this.base = places;
    this.trained = [...places.filter(({ name }) => trains(name)), ...(placed?.places ?? [])];
    this.shapes = new Map([...expectedTensors(config), ...(adapter ? adapterTensors(config, adapter) : [])]);
    for (const { target } of this.trained) if (!this.state.has(target)) this.state.set(target, this.beside(target));
    this.gradients = new Map(
      Array.from(this.state).flatMap(([{ parts }, { gradients }]) =>
        parts.map(({ tensor }, i) => [tensor, gradients.parts[i]!.tensor] as const),
      ),
    );
    this.list = this.pairUp();
  }

  /** Fills the model's own tensors, those that are trained too. */
  loadBase(source: WeightSource): void {
    for (const place of this.base) fillWeight(this.device, source, place);
  }

  /** Fills what is trained, or its moments for a resumed run, from stored tensors. */
  load(what: Stored, source: WeightSource): void {
    for (const { name, target, at } of this.trained)
      fillWeight(this.device, source, { name, at, target: this.state.get(target)![what] });
  }

  /** Every tensor that is trained, of one kind, by its stored name, f32, in the order of the places. */
  async *stored(what: Stored): AsyncGenerator<TensorStream> {
    let last: Tensor | undefined;
    let bytes = new Uint8Array();
    let since = 0;
    for (const { name, target, at } of this.trained) {
      if (target !== last) {
        // The collector by itself would let hundreds of megabytes gather.
        if (since > collectAfter) Bun.gc(true);
        since = (since > collectAfter ? 0 : since) + target.bytes;
        bytes = (await this.device.download(this.state.get(target)![what])) as Uint8Array<ArrayBuffer>;
      }
      last = target;
      const shape = this.shapes.get(name)!;
      yield { name, type: "f32", shape, pieces: [bytes.subarray(4 * at, 4 * (at + elements(shape)))] };
    }
  }

  /** A tensor's gradient and moments. */
  private beside(weights: Tensor): Record<Stored, Tensor> {
    const { label, shape, type, layout = "rows", split = false } = weights;
    const like = () => this.device.tensor({ label, shape, type, layout, split });
    return { weights, gradients: like(), m: like(), v: like() };
  }

  /** Biases, norms — everything of rank 1 as stored — do not decay. */
  private pairUp(): Parameter[] {
    const names = new Map(this.trained.map(({ name, target }) => [target, name] as const).reverse());
    return Array.from(this.state).flatMap(([target, state]) => {
      const name = names.get(target)!;
      const decays = !/(\.bias|ln_\w+\.weight)$/.test(name);
      const columns = name.includes("c_attn") ? 3 : 1;
      return target.parts.map((_, i) => {
        const [w, g, m, v] = (["weights", "gradients", "m", "v"] as const).map(
          (what) => state[what].parts[i]!.tensor,
        ) as [...[Tensor, Tensor, Tensor, Tensor]];
        const flat = (tensor: Tensor) => this.device.flat(tensor);
        const all = { w: flat(w), g: flat(g), m: flat(m), v: flat(v), decays };
        const matrix = target.layout === "matrix" && !/\.lora_[ab]$/.test(name);
        return matrix ? { ...all, matrix: { w, g, m, columns } } : all;
      });
    });
  }
}
