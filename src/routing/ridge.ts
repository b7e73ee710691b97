/** Ridge regression: the smallest change of a matrix that brings its products near what they should be. */
import { weightBackward } from "../../kernels/matmul/weight_backward.ts";
import type { Device } from "../device/device.ts";

/**
 * What minimises ‖Y − X·W‖² + λ‖W‖², λ being the mean of a row's ‖x‖², by whichever of X'X and XX' is smaller:
 * W = (X'X + λ)⁻¹ X'Y = X' (XX' + λ)⁻¹ Y. Their products are computed on the device in f32, the rest here in f64.
 * @param x [rows, inner]
 * @param y [rows, cols]
 * @returns W, [inner, cols]
 * @throws LolaError "device" when the device has no room
 */
export async function ridge(device: Device, x: Float32Array, y: Float32Array, rows: number): Promise<Float32Array> {
  const [inner, cols] = [x.length / rows, y.length / rows];
  const energy = x.reduce((sum, value) => sum + value * value, 0);
  if (energy === 0) return new Float32Array(inner * cols);
  const penalty = energy / rows;
  if (rows >= inner) {
    const gram = await transposedProduct(device, x, x, rows);
    const right = await transposedProduct(device, x, y, rows);
    return Float32Array.from(solve(gram, right, inner, penalty));
  }
  const turned = transposed(x, rows);
  const gram = await transposedProduct(device, turned, turned, inner);
  return transposedProduct(device, x, Float32Array.from(solve(gram, y, rows, penalty)), rows);
}

/** AᵀB of two matrices [rows, ..]. */
async function transposedProduct(device: Device, a: Float32Array, b: Float32Array, rows: number) {
  const [inner, cols] = [a.length / rows, b.length / rows];
  const tensors = {
    x: device.tensor({ label: "rows", shape: [rows, inner], type: "f32" }),
    dy: device.tensor({ label: "rows beside them", shape: [rows, cols], type: "f32" }),
    dw: device.tensor({ label: "their product", shape: [inner, cols], type: "f32", layout: "matrix" }),
    db: device.tensor({ label: "unused bias", shape: [cols], type: "f32" }),
  };
  try {
    device.upload(tensors.x, bytesOf(a));
    device.upload(tensors.dy, bytesOf(b));
    const step = { kernel: weightBackward, bindings: tensors, params: { rows, inner, cols, add: 0 } };
    const [product] = await device.run(device.program("product", [step]), {}, { read: [tensors.dw] });
    return new Float32Array(product!.slice().buffer);
  } finally {
    for (const tensor of Object.values(tensors)) device.free(tensor);
  }
}

/** (A + λ)⁻¹ B by Cholesky's factors. @param a [size, size], symmetric @param b [size, cols] */
function solve(a: Float32Array, b: Float32Array, size: number, penalty: number): Float64Array {
  const l = Float64Array.from(a);
  for (let i = 0; i < size; i++) {
    const row = l.subarray(i * size, i * size + i);
    for (let j = 0; j < i; j++) {
      const other = l.subarray(j * size, j * size + j);
      let sum = row[j]!;
      for (let k = 0; k < j; k++) sum -= row[k]! * other[k]!;
      row[j] = sum / l[j * size + j]!;
    }
    let pivot = l[i * size + i]! + penalty;
    for (let k = 0; k < i; k++) pivot -= row[k]! ** 2;
    // Exactly, no pivot is below what was added.
    l[i * size + i] = Math.sqrt(Math.max(penalty, pivot));
  }
  const cols = b.length / size;
  const x = Float64Array.from(b);
  const rowOf = (i: number) => x.subarray(i * cols, (i + 1) * cols);
  const take = (to: Float64Array, from: Float64Array, factor: number) => {
    for (let c = 0; c < cols; c++) to[c]! -= factor * from[c]!;
  };
  const divide = (row: Float64Array, by: number) => {
    for (let c = 0; c < cols; c++) row[c]! /= by;
  };
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) take(rowOf(i), rowOf(k), l[i * size + k]!);
    divide(rowOf(i), l[i * size + i]!);
  }
  for (let i = size - 1; i >= 0; i--) {
    divide(rowOf(i), l[i * size + i]!);
    for (let k = 0; k < i; k++) take(rowOf(k), rowOf(i), l[i * size + k]!);
  }
  return x;
}

function transposed(x: Float32Array, rows: number): Float32Array {
  const inner = x.length / rows;
  const turned = new Float32Array(x.length);
  for (let r = 0; r < rows; r++) for (let k = 0; k < inner; k++) turned[k * rows + r] = x[r * inner + k]!;
  return turned;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength);
