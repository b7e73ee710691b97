/** The oracle as an engine: the kernels' own reference loops behind the device interface. Slow, and right. */
import { LolaError } from "../base/errors.ts";
import { fromFloats, toFloats } from "../base/float.ts";
import {
  type Device,
  type DeviceInfo,
  elements,
  type Part,
  type Program,
  resolve,
  type Step,
  storageBytes,
  type Tensor,
  type TensorSpec,
} from "./device.ts";

type Values = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

class HostTensor implements Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly type: TensorSpec["type"];
  readonly layout: "rows" | "matrix";
  readonly bytes: number;
  readonly parts: readonly Part[];

  /** @param values u32, or any float type widened to f32 */
  constructor(
    spec: TensorSpec,
    readonly values: Values,
  ) {
    this.label = spec.label;
    this.shape = spec.shape;
    this.type = spec.type;
    this.layout = spec.layout ?? "rows";
    this.bytes = elements(spec.shape) * storageBytes[spec.type];
    this.parts = [{ tensor: this, first: 0, count: spec.shape[0] ?? 1 }];
  }
}

function valuesOf(tensor: Tensor): Values {
  if (tensor instanceof HostTensor) return tensor.values;
  throw new Error(`${tensor.label} belongs to another device`);
}

class ReferenceDevice implements Device {
  readonly info: DeviceInfo = {
    kind: "reference",
    name: "plain loops, 1 thread",
    software: true,
    memoryLimit: process.availableMemory(),
    details: {},
  };
  readonly compileSeconds = 0;
  private readonly live = new Set<HostTensor>();

  tensor(spec: TensorSpec): Tensor {
    const n = elements(spec.shape);
    try {
      const tensor = new HostTensor(spec, spec.type === "u32" ? new Uint32Array(n) : new Float32Array(n));
      this.live.add(tensor);
      return tensor;
    } catch (cause) {
      throw new LolaError("device", `${spec.label} needs ${4 * n} bytes of memory`, "use a smaller model", { cause });
    }
  }

  view(tensor: Tensor, start: number, shape: readonly number[]): Tensor {
    const values = valuesOf(tensor).subarray(start, start + elements(shape));
    return new HostTensor({ label: tensor.label, shape, type: tensor.type }, values);
  }

  flat(tensor: Tensor): Tensor {
    return this.view(tensor, 0, [elements(tensor.shape)]);
  }

  upload(tensor: Tensor, bytes: Uint8Array, at = 0): void {
    const values = valuesOf(tensor);
    const start = at / storageBytes[tensor.type];
    if (tensor.type === "u32") values.set(new Uint32Array(bytes.slice().buffer), start);
    else values.set(toFloats(bytes, tensor.type), start);
  }

  async download(tensor: Tensor): Promise<Uint8Array> {
    return contents(tensor);
  }

  free(tensor: Tensor): void {
    this.live.delete(tensor as HostTensor);
  }

  program(label: string, steps: readonly Step[]): Program {
    return { label, steps };
  }

  async run(
    program: Program,
    values: Record<string, number> = {},
    options: { read?: readonly Tensor[]; signal?: AbortSignal } = {},
  ): Promise<Uint8Array[]> {
    for (const step of program.steps) {
      options.signal?.throwIfAborted();
      perform(step, values);
      await new Promise((done) => setImmediate(done));
    }
    return (options.read ?? []).map(contents);
  }

  async time(program: Program, values: Record<string, number> = {}, repeats = 1): Promise<Float64Array> {
    return Float64Array.from(program.steps, (step) => {
      const seconds = Float64Array.from({ length: repeats }, () => {
        const start = performance.now();
        perform(step, values);
        return (performance.now() - start) / 1000;
      });
      return seconds.sort()[repeats >> 1]!;
    });
  }

  get memory(): number {
    let bytes = 0;
    for (const tensor of this.live) bytes += tensor.values.byteLength;
    return bytes;
  }

  close(): void {
    this.live.clear();
  }
}

function perform(step: Step, values: Record<string, number>): void {
  const bindings = Object.fromEntries(Object.entries(step.bindings).map(([name, t]) => [name, valuesOf(t)]));
  step.kernel.reference(bindings, resolve(step, values));
}

/** Stored little-endian bytes, a copy. */
function contents(tensor: Tensor): Uint8Array {
  const values = valuesOf(tensor);
  if (tensor.type === "u32" || values instanceof Uint32Array) return new Uint8Array(values.slice().buffer);
  return fromFloats(values, tensor.type).slice();
}

/** The engine of last resort, and what whole-model tests compare the others with. */
export function openReference(): Device {
  return new ReferenceDevice();
}
