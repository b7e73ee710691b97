/**
 * Error compensation (GPTQ: Frantar et al. 2023, arXiv 2210.17323): a matrix is rounded row by row, and each row first makes good
 * what rounding those before it did to products with real inputs.
 *
 * Errors E = W − Q of a matrix whose inputs have the second moments H = XᵀX cost tr EᵀHE. With H = U D Uᵀ, U unit upper
 * triangular, that is Σᵢ Dᵢ ‖eᵢ + Σ_{j<i} Uⱼᵢ eⱼ‖²: row i becomes what is nearest to wᵢ + Σ_{j<i} Uⱼᵢ eⱼ. These are GPTQ's updates
 * by the Cholesky factor of H⁻¹, without an inverse.
 */
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import { blockWords, codePlace, type Grouping, quantPanel, roundTo } from "../base/quant.ts";
import type { QuantMatrix } from "../checkpoint/quantized.ts";
import type { Device, Program, Tensor } from "../device/device.ts";

/** Part of the mean that is added to each input's own moment: what these texts never drive, others may. */
const damping = 0.01;

/**
 * What row i takes over from the errors of the rows before it: [inner, inner], element [i][j] for j < i.
 * @param moments [inner, inner], symmetric: sums of products of inputs, in any unit
 */
export function feedbackOf(moments: Float32Array, inner: number): Float64Array {
  const h = Float64Array.from(moments);
  let trace = 0;
  for (let i = 0; i < inner; i++) trace += h[i * inner + i]!;
  const least = trace > 0 ? (damping * trace) / inner : 1;
  for (let i = 0; i < inner; i++) h[i * inner + i]! += least;
  for (let i = inner - 1; i > 0; i--) {
    const last = h.subarray(i * inner, i * inner + i);
    // Exactly, no pivot is below what was added.
    const pivot = Math.max(least, h[i * inner + i]!);
    for (let j = 0; j < i; j++) {
      const share = last[j]! / pivot;
      const row = h.subarray(j * inner, j * inner + j + 1);
      if (share !== 0) for (let k = 0; k <= j; k++) row[k]! -= share * last[k]!;
    }
    for (let j = 0; j < i; j++) last[j]! /= pivot;
  }
  return h;
}

/** Device memory for matrices of one shape and group, one after the other. */
export class Compensator {
  private readonly shares: Tensor;
  private readonly errors: Tensor;
  private readonly carried: Tensor;
  private readonly unused: Tensor;
  private readonly program: Program;

  constructor(
    private readonly device: Device,
    private readonly matrix: Pick<QuantMatrix, "inner" | "cols">,
    private readonly grouping: Grouping,
  ) {
    const { inner, cols } = matrix;
    const { group } = grouping;
    this.shares = device.tensor({ label: "shares of errors", shape: [inner, group], type: "f32" });
    this.errors = device.tensor({ label: "errors of rounding", shape: [inner, cols], type: "f32" });
    this.carried = device.tensor({ label: "errors to make good", shape: [group, cols], type: "f32", layout: "matrix" });
    this.unused = device.tensor({ label: "unused bias", shape: [cols], type: "f32" });
    const bindings = { x: this.shares, dy: this.errors, dw: this.carried, db: this.unused };
    const params = { rows: "rows", inner: group, cols, add: 0 };
    this.program = device.program(`errors ${inner} × ${cols}`, [{ kernel: weightBackward, bindings, params }], {
      rows: inner,
    });
  }

  /**
   * What rows of the group from `first` on should become, for all rows before it: [live, cols].
   * @param rows weights, [live, cols]
   */
  async wanted(rows: Float32Array, first: number, feedback: Float64Array): Promise<Float32Array> {
    if (first === 0) return rows.slice();
    const { group } = this.grouping;
    const { inner, cols } = this.matrix;
    const live = rows.length / cols;
    const shares = new Float32Array(first * group);
    for (let i = 0; i < live; i++)
      for (let j = 0; j < first; j++) shares[j * group + i] = feedback[(first + i) * inner + j]!;
    this.device.upload(this.shares, new Uint8Array(shares.buffer));
    const [bytes] = await this.device.run(this.program, { rows: first }, { read: [this.carried] });
    const carried = new Float32Array(bytes!.slice().buffer);
    return rows.map((weight, i) => weight + carried[i]!);
  }

  /**
   * Replaces the codes of a group's words by those of its rows one after the other, each making good the errors of those before
   * it; keeps their errors for the groups to come.
   * @param words blocks of the group: [panels, words of a block], with their scales and minimums
   * @param wanted of `wanted`; overwritten
   * @returns Σ (w − what the words say)²
   */
  settle(words: Uint32Array, rows: Float32Array, wanted: Float32Array, first: number, feedback: Float64Array): number {
    const { inner, cols } = this.matrix;
    const { bits } = this.grouping;
    const size = blockWords(this.grouping);
    const halves = new Float16Array(words.buffer, words.byteOffset, 2 * words.length);
    const live = rows.length / cols;
    const errors = new Float32Array(rows.length);
    let sum = 0;
    for (let from = 0, block = 0; from < cols; from += quantPanel, block += size) {
      const to = Math.min(cols, from + quantPanel);
      words.fill(0, block + quantPanel, block + size);
      for (let i = 0; i < live; i++) {
        const { line, shift } = codePlace(bits, i);
        const target = i * cols;
        for (let n = from; n < to; n++) {
          const [scale, minimum] = [halves[2 * block + n - from]!, halves[2 * block + quantPanel + n - from]!];
          const code = roundTo(wanted[target + n]!, scale, minimum, bits);
          words[block + quantPanel + line * quantPanel + n - from]! |= code << shift;
          const error = rows[target + n]! - (scale * code + minimum);
          errors[target + n] = error;
          sum += error * error;
        }
        for (let later = i + 1; later < live; later++) {
          const share = feedback[(first + later) * inner + first + i]!;
          for (let n = from; n < to; n++) wanted[later * cols + n]! += share * errors[target + n]!;
        }
      }
    }
    this.device.upload(this.errors, new Uint8Array(errors.buffer), 4 * first * cols);
    return sum;
  }

  close(): void {
    for (const tensor of [this.shares, this.errors, this.carried, this.unused]) this.device.free(tensor);
  }
}
