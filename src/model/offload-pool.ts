/** Experts that take turns on a device: slots, who is in them, and who gives way. */
import { groupingOf, isQuantType, matrixWords } from "../base/quant.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { TensorType } from "../checkpoint/tensor.ts";
import { type Device, elements, type Tensor } from "../device/device.ts";
import { Usage } from "./offload-usage.ts";
import { type Affine, fillWeight, type MatrixPart, type WeightSource } from "./weights.ts";

/** Experts whose matrices have the same types share slots. */
interface Kind {
  /** Its first slot, and how many. */
  first: number;
  slots: number;
  up: Tensor;
  down: Tensor;
}

/** What became of the experts that one layer's rows asked for. */
export interface LayerTraffic {
  /** Of the model. */
  layer: number;
  /** Experts asked for, once for all rows that come together: those that were in a slot, and those that were read. */
  hits: number;
  misses: number;
}

export class ExpertPool {
  /** Of all kinds together. */
  readonly slots: number;
  /** As a layer's weights; in place of its experts stand the slots. */
  readonly up: Affine;
  readonly down: Affine;
  readonly traffic: readonly LayerTraffic[];
  /** Bytes read from the model so far. */
  bytes = 0;
  private readonly layers: readonly number[];
  private readonly kinds: readonly Kind[];
  /** The kind and, where it is in one, the slot of each expert, [MoE layer, expert]. */
  private readonly kindOf: readonly number[];
  private readonly slotOf: Int32Array;
  /** The expert in each slot, -1: none. */
  private readonly held: Int32Array;
  private readonly usage: Usage;

  /**
   * Empty slots.
   * @param slots experts that are on the device at once; at least one of each kind there is
   * @throws LolaError "device" when the device has no room
   */
  constructor(
    private readonly device: Device,
    private readonly config: ModelConfig,
    private readonly source: WeightSource,
    slots: number,
  ) {
    const { width, inner, experts } = config;
    this.layers = moeLayers(config);
    const { kinds, kindOf } = kindsOf(source, config);
    this.kindOf = kindOf;
    const [ups, downs]: [MatrixPart[], MatrixPart[]] = [[], []];
    const made: Kind[] = [];
    let [first, dealt] = [0, 0];
    const slotsOf = (experts: number) => Math.floor((slots * experts) / kindOf.length);
    for (const { up, down, count } of kinds) {
      const own = Math.max(1, slotsOf(dealt + count) - slotsOf(dealt));
      dealt += count;
      const stack = (label: string, type: TensorType, rows: number, cols: number, parts: MatrixPart[]) => {
        const tensor = stackOf(device, `${label} of ${own} experts`, type, own, rows, cols);
        const grouping = isQuantType(type) ? { grouping: groupingOf(type) } : {};
        parts.push(...tensor.parts.map((part) => ({ ...part, ...grouping, first: part.first + first })));
        return tensor;
      };
      made.push({
        ...{ first, slots: own },
        up: stack("c_fc", up, width, inner, ups),
        down: stack("c_proj", down, inner, width, downs),
      });
      first += own;
    }
    this.kinds = made;
    this.slots = first;
    const bias = (label: string, cols: number) => device.tensor({ label, shape: [first, cols], type: "f32" });
    this.up = { w: { inner: width, cols: inner, parts: ups }, b: bias("c_fc biases", inner) };
    this.down = { w: { inner, cols: width, parts: downs }, b: bias("c_proj biases", width) };
    this.slotOf = new Int32Array(kindOf.length).fill(-1);
    this.held = new Int32Array(first).fill(-1);
    this.usage = new Usage(this.layers.length, experts);
    this.traffic = this.layers.map((layer) => ({ layer, hits: 0, misses: 0 }));
  }

  /** Experts of the model. */
  get all(): number {
    return this.kindOf.length;
  }

  /**
   * Counts rows that came to a MoE layer, and deals their experts out to waves that each fit the slots; what is there comes first.
   * @param layer number of the MoE layer, from 0
   */
  visit(layer: number, experts: ReadonlySet<number>): number[][] {
    this.usage.visit(layer, experts);
    const isHeld = (e: number) => this.slotOf[this.key(layer, e)]! >= 0;
    const [there, missing] = [[...experts].filter(isHeld), [...experts].filter((e) => !isHeld(e))];
    const traffic = this.traffic[layer]!;
    traffic.hits += there.length;
    traffic.misses += missing.length;
    const waves: number[][] = [];
    const dealt = this.kinds.map(() => 0);
    for (const e of [...there, ...missing]) {
      const kind = this.kindOf[this.key(layer, e)]!;
      const wave = Math.floor(dealt[kind]!++ / this.kinds[kind]!.slots);
      (waves[wave] ??= []).push(e);
    }
    return waves;
  }

  /**
   * Brings the experts of one wave into slots.
   * @returns the slot of each
   * @throws DataError when the file is damaged; DOMException AbortError after `signal`
   */
  async hold(layer: number, experts: readonly number[], signal?: AbortSignal): Promise<Map<number, number>> {
    const keys = experts.map((e) => this.key(layer, e));
    for (const key of keys) if (this.slotOf[key]! < 0) await this.bring(key, new Set(keys), signal);
    return new Map(experts.map((e, i) => [e, this.slotOf[keys[i]!]!]));
  }

  /**
   * Fills the slots with the experts that will be used most.
   * @param shares of a layer's tokens that use an expert, [MoE layer, expert]
   */
  async warm(shares: Float64Array, signal?: AbortSignal): Promise<void> {
    this.usage.expect(shares);
    const ranked = Array.from(shares.keys()).sort((a, b) => shares[b]! - shares[a]!);
    for (const [kind, { slots }] of this.kinds.entries()) {
      const most = ranked.filter((key) => this.kindOf[key] === kind).slice(0, slots);
      for (const key of most) if (this.slotOf[key]! < 0) await this.bring(key, new Set(most), signal);
    }
  }

  /** Is this tensor one of its slots, or a part of one? */
  has(tensor: Tensor): boolean {
    return [this.up, this.down].some(({ w, b }) => tensor === b || w.parts.some((part) => part.tensor === tensor));
  }

  private key(layer: number, expert: number): number {
    return layer * this.config.experts + expert;
  }

  /** Reads an expert into a slot of its kind: a free one, or that of who will be wanted last. */
  private async bring(key: number, staying: ReadonlySet<number>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const slot = this.freeSlot(this.kinds[this.kindOf[key]!]!, staying);
    const before = this.held[slot]!;
    if (before >= 0) this.slotOf[before] = -1;
    // Until all of it has come, the slot holds nobody.
    this.held[slot] = -1;
    this.read(key, slot);
    this.held[slot] = key;
    this.slotOf[key] = slot;
    await new Promise((done) => setImmediate(done));
  }

  private freeSlot({ first, slots }: Kind, staying: ReadonlySet<number>): number {
    const { experts } = this.config;
    let [best, longest] = [-1, Number.NEGATIVE_INFINITY];
    for (let slot = first; slot < first + slots; slot++) {
      const key = this.held[slot]!;
      if (key < 0) return slot;
      if (staying.has(key)) continue;
      const wait = this.usage.wait(Math.floor(key / experts), key % experts);
      if (wait > longest) [best, longest] = [slot, wait];
    }
    if (best < 0) throw new Error("a wave of more experts than slots");
    return best;
  }

  private read(key: number, slot: number): void {
    const { experts } = this.config;
    const kind = this.kinds[this.kindOf[key]!]!;
    const name = `h.${this.layers[Math.floor(key / experts)]!}.moe.experts.${key % experts}`;
    const place = (part: string, target: Tensor, at: number) => {
      fillWeight(this.device, this.source, {
        name: `${name}.${part}`,
        target,
        at: at * elements(target.shape.slice(1)),
      });
      this.bytes += this.source.tensors.get(`${name}.${part}`)!.bytes;
    };
    place("c_fc.weight", kind.up, slot - kind.first);
    place("c_proj.weight", kind.down, slot - kind.first);
    place("c_fc.bias", this.up.b, slot);
    place("c_proj.bias", this.down.b, slot);
  }
}

/** The pairs of types that experts' matrices have, in order of appearance, and which of them each expert has. */
function kindsOf({ tensors }: WeightSource, config: ModelConfig) {
  const kinds = new Map<string, { index: number; up: TensorType; down: TensorType; count: number }>();
  const kindOf: number[] = [];
  for (const layer of moeLayers(config))
    for (let e = 0; e < config.experts; e++) {
      const type = (part: string) => tensors.get(`h.${layer}.moe.experts.${e}.${part}.weight`)!.type;
      const [up, down] = [type("c_fc"), type("c_proj")];
      const kind = kinds.get(`${up} ${down}`) ?? { index: kinds.size, up, down, count: 0 };
      kinds.set(`${up} ${down}`, kind);
      kind.count++;
      kindOf.push(kind.index);
    }
  return { kinds: [...kinds.values()], kindOf };
}

/** Room for so many matrices [inner, cols] of a type. */
function stackOf(device: Device, label: string, type: TensorType, count: number, inner: number, cols: number): Tensor {
  if (!isQuantType(type))
    return device.tensor({ label, shape: [count, inner, cols], type, layout: "matrix", split: true });
  return device.tensor({ label, shape: [count, matrixWords(groupingOf(type), inner, cols)], type: "u32", split: true });
}
