/** A device that only counts: what the code that allocates would take of memory. */
import {
  type Device,
  elements,
  type Mapped,
  type Part,
  type Program,
  type Step,
  storageBytes,
  type Tensor,
  type TensorSpec,
} from "./device.ts";
import { rowsOfPart } from "./split.ts";

/** Gives out tensors without contents. */
export class CountingDevice implements Device {
  readonly info = { kind: "reference", name: "plan", software: true, details: {} } as const;
  readonly compileSeconds = 0;
  memory = 0;
  /** Bytes of them that are a mapped file's. */
  mapped = 0;
  /** Only where the device that it stands for can map. */
  readonly map?: (spec: TensorSpec) => Mapped;
  private readonly labels = new Map<string, number>();

  /** @param like the device that it stands for, whose limit on single tensors then holds */
  constructor(private readonly like?: Pick<Device, "info" | "map">) {
    if (!like?.map) return;
    this.map = (spec) => {
      const tensor = this.tensor(spec);
      this.mapped += tensor.bytes;
      return { tensor, read: () => new Uint8Array(0) };
    };
  }

  /** @throws LolaError "device" when no binding could hold it */
  tensor(spec: TensorSpec): Tensor {
    const { kind, bindingLimit } = this.like?.info ?? {};
    rowsOfPart(spec, bindingLimit ?? Number.POSITIVE_INFINITY);
    const tensor = countedTensor(spec);
    // The reference engine keeps all floats as f32.
    const bytes = kind === "reference" ? 4 * elements(spec.shape) : tensor.bytes;
    this.memory += bytes;
    this.labels.set(spec.label, (this.labels.get(spec.label) ?? 0) + bytes);
    return tensor;
  }

  /** Bytes of the tensors of such labels. */
  bytesOf(labels: RegExp): number {
    return [...this.labels].reduce((sum, [label, bytes]) => (labels.test(label) ? sum + bytes : sum), 0);
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
