/** A device that only counts: what the code that allocates would take of memory. */
import {
  type Device,
  elements,
  type Part,
  type Program,
  type Step,
  storageBytes,
  type Tensor,
  type TensorSpec,
} from "./device.ts";

/** Gives out tensors without contents. */
export class CountingDevice implements Device {
  readonly info = { kind: "reference", name: "plan", software: true, details: {} } as const;
  readonly compileSeconds = 0;
  memory = 0;

  tensor(spec: TensorSpec): Tensor {
    const tensor = countedTensor(spec);
    this.memory += tensor.bytes;
    return tensor;
  }

  view({ label, type }: Tensor, _start: number, shape: readonly number[]): Tensor {
    return countedTensor({ label, type, shape });
  }

  flat(tensor: Tensor): Tensor {
    return this.view(tensor, 0, [elements(tensor.shape)]);
  }

  free(tensor: Tensor): void {
    this.memory -= tensor.bytes;
  }

  program(label: string, steps: readonly Step[]): Program {
    return { label, steps };
  }

  upload(): void {}

  close(): void {}

  async download(tensor: Tensor): Promise<Uint8Array> {
    throw new Error(`${tensor.label} is only planned`);
  }

  async run(program: Program): Promise<Uint8Array[]> {
    throw new Error(`${program.label} is only planned`);
  }

  async time(program: Program): Promise<Float64Array> {
    throw new Error(`${program.label} is only planned`);
  }
}

function countedTensor(spec: TensorSpec): Tensor {
  const parts: Part[] = [];
  const bytes = elements(spec.shape) * storageBytes[spec.type];
  const tensor: Tensor = { ...spec, bytes, parts };
  parts.push({ tensor, first: 0, count: spec.shape[0] ?? 1 });
  return tensor;
}
