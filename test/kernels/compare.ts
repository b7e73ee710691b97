/** Runs a kernel's cases on a device and holds the results against the kernel's reference. */
import type { Case, Kernel } from "../../kernels/kernel.ts";
import { type FloatType, fromFloats, toFloats } from "../../src/base/float.ts";
import type { Device, Tensor } from "../../src/device/device.ts";

type Values = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Elements around every tensor that may be a view, which no kernel may touch. */
const margin = 1024;
const sentinel = { f32: 12345.678, u32: 0xdeadbeef };

/** Types that the weights of a kernel may have; one, if it has none or writes them. */
export function weightTypes(kernel: Kernel): readonly FloatType[] {
  const weights = Object.values(kernel.bindings).filter(({ type }) => type === "table" || type === "matrix");
  return weights.some(({ access }) => access === "in") ? ["f32", "f16", "bf16"] : ["f32"];
}

/** Mean squared error over the mean square of what is expected. */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    power += expected[i]! ** 2;
  }
  return error === 0 ? 0 : error / power;
}

/**
 * @param bound largest NMSE of floats
 * @returns what is wrong, one line each; nothing when all is well
 */
export async function check(
  device: Device,
  kernel: Kernel,
  example: Case,
  type: FloatType,
  bound = type === "f32" ? 1e-7 : 1e-6,
): Promise<string[]> {
  const initial: Record<string, Values> = {};
  const expected: Record<string, Values> = {};
  for (const [name, { data }] of Object.entries(example.tensors)) {
    const bound = kernel.bindings[name]!.type;
    const rounded =
      bound === "table" || bound === "matrix" ? toFloats(fromFloats(data as Float32Array, type), type) : data;
    initial[name] = rounded as Values;
    expected[name] = rounded.slice() as Values;
  }
  kernel.reference(expected, example.params);

  const tensors: Tensor[] = [];
  const bindings: Record<string, Tensor> = {};
  const whole: Record<string, Tensor> = {};
  const fill = () => {
    for (const [name, tensor] of Object.entries(whole)) device.upload(tensor, stored(initial[name]!, tensor));
  };
  for (const [name, { shape, data }] of Object.entries(example.tensors)) {
    const bound = kernel.bindings[name]!.type;
    const stored = bound === "u32" ? "u32" : bound === "f32" ? "f32" : type;
    const matrix = bound === "matrix";
    const spec = { label: name, type: stored, layout: matrix ? "matrix" : "rows" } as const;
    const tensor = device.tensor({ ...spec, shape: matrix ? shape : [data.length + 2 * margin] });
    tensors.push(tensor);
    whole[name] = tensor;
    bindings[name] = matrix ? tensor : device.view(tensor, margin, shape);
  }
  const program = device.program(example.label, [{ kernel, bindings, params: example.params }]);
  const outputs = Object.keys(kernel.bindings).filter((name) => kernel.bindings[name]!.access !== "in");
  const read = outputs.map((name) => whole[name]!);
  fill();
  const first = await device.run(program, {}, { read });
  fill();
  const second = await device.run(program, {}, { read });
  for (const tensor of tensors) device.free(tensor);

  const wrong: string[] = [];
  for (const [i, name] of outputs.entries()) {
    const complain = (what: string) => wrong.push(`${example.label}, ${type}: ${name}: ${what}`);
    if (Buffer.compare(first[i]!, second[i]!) !== 0) complain("another result when run again");
    const wants = expected[name]!;
    const words = first[i]!.slice().buffer;
    const all = wants instanceof Uint32Array ? new Uint32Array(words) : new Float32Array(words);
    const before = whole[name]!.layout === "matrix" ? 0 : margin;
    const got = all.subarray(before, before + wants.length);
    const guard = wants instanceof Uint32Array ? sentinel.u32 : Math.fround(sentinel.f32);
    const touched = all.findIndex((v, at) => (at < before || at >= before + wants.length) && v !== guard);
    if (touched >= 0) complain(`element ${touched - before} of ${wants.length} was written`);
    const moved = wants.findIndex((v, at) => v === initial[name]![at] && got[at] !== v);
    if (moved >= 0) complain(`element ${moved} should have stayed ${wants[moved]}, and is ${got[moved]}`);
    if (wants instanceof Uint32Array) {
      const differs = wants.findIndex((v, at) => got[at] !== v);
      if (differs >= 0) complain(`element ${differs} is ${got[differs]}, not ${wants[differs]}`);
    } else {
      const error = nmse(got, wants);
      if (!(error <= bound)) complain(`NMSE ${error}`);
    }
  }
  return wrong;
}

/** Contents as bytes, with sentinels around those of a tensor that is larger than they are. */
function stored(values: Values, tensor: Tensor): Uint8Array {
  if (tensor.layout === "matrix") return fromFloats(values as Float32Array, tensor.type as FloatType);
  const n = values.length + 2 * margin;
  if (values instanceof Uint32Array) {
    const all = new Uint32Array(n).fill(sentinel.u32);
    all.set(values, margin);
    return new Uint8Array(all.buffer);
  }
  const all = new Float32Array(n).fill(sentinel.f32);
  all.set(values, margin);
  return fromFloats(all, tensor.type as FloatType);
}
