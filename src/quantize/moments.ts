/** Second moments of the inputs of matrices, XᵀX, summed on a device: what error compensation needs. */
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import { quantMatrix, weightKind } from "../checkpoint/quantized.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import type { Device, Program, Tensor } from "../device/device.ts";

/** Inputs of a matrix whose moments are kept, at most: 64 MiB of them. */
const mostInputs = 4096;
/** Bytes of all moments together. */
const mostBytes = 2 ** 30;

/** The matrices whose moments fit, those with fewest inputs first, else in the order given, and the bytes of those. */
export function affordable(matrices: Iterable<{ name: string; inner: number }>): { fit: Set<string>; bytes: number } {
  const fit = new Set<string>();
  let bytes = 0;
  for (const { name, inner } of [...matrices].sort((a, b) => a.inner - b.inner)) {
    const more = 4 * inner ** 2;
    if (inner > mostInputs || bytes + more > mostBytes) break;
    fit.add(name);
    bytes += more;
  }
  return { fit, bytes };
}

/** Bytes that moments of a model's matrices take, at most. */
export function momentBytes(tensors: Iterable<Pick<TensorInfo, "name" | "shape">>): number {
  const matrices = [...tensors].filter(({ name }) => compensable(name));
  return affordable(matrices.map(({ name, shape }) => ({ name, inner: quantMatrix(name, shape).inner }))).bytes;
}

/** All matrices but the embedding, whose rows are looked up as well, each by itself. */
export function compensable(name: string): boolean {
  const kind = weightKind(name);
  return kind !== undefined && kind !== "embedding";
}

interface Sum {
  tensor: Tensor;
  program: Program;
}

export class Moments {
  /** By the number of inputs: rows that were brought, and a bias that nobody reads. */
  private readonly inputs = new Map<number, { x: Tensor; unused: Tensor }>();
  private readonly sums = new Map<string, Sum>();

  /** @param rows that one call of `add` brings at most */
  constructor(
    private readonly device: Device,
    private readonly rows: number,
  ) {}

  /** @param x [rows, inner] */
  async add(name: string, inner: number, x: Float32Array): Promise<void> {
    const { program } = this.sum(name, inner);
    this.device.upload(this.inputs.get(inner)!.x, new Uint8Array(x.buffer, x.byteOffset, x.byteLength));
    await this.device.run(program, { rows: x.length / inner });
  }

  /** [inner, inner] of a matrix that rows were added to; ends its sum and frees the device's memory. */
  async take(name: string): Promise<Float32Array> {
    const { tensor } = this.sums.get(name)!;
    this.sums.delete(name);
    const bytes = await this.device.download(tensor);
    this.device.free(tensor);
    return new Float32Array(bytes.slice().buffer);
  }

  private sum(name: string, inner: number): Sum {
    const known = this.sums.get(name);
    if (known) return known;
    const { device } = this;
    let inputs = this.inputs.get(inner);
    if (!inputs) {
      inputs = {
        x: device.tensor({ label: "inputs", shape: [this.rows, inner], type: "f32" }),
        unused: device.tensor({ label: "unused bias", shape: [inner], type: "f32" }),
      };
      this.inputs.set(inner, inputs);
    }
    const { x, unused } = inputs;
    const tensor = device.tensor({
      ...{ label: `moments of ${name}`, shape: [inner, inner], type: "f32" },
      layout: "matrix",
    });
    const bindings = { x, dy: x, dw: tensor, db: unused };
    const params = { rows: "rows", inner, cols: inner, add: 1 };
    const program = device.program(tensor.label, [{ kernel: weightBackward, bindings, params }], { rows: this.rows });
    const sum = { tensor, program };
    this.sums.set(name, sum);
    return sum;
  }

  close(): void {
    for (const { tensor } of this.sums.values()) this.device.free(tensor);
    for (const { x, unused } of this.inputs.values()) for (const tensor of [x, unused]) this.device.free(tensor);
  }
}
