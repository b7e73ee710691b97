/** Tensors of the CPU engine: native memory, matrices packed into column panels (native/lola.h). */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import { LolaError } from "../../base/errors.ts";
import { elements, type Mapped, type Part, storageBytes, type Tensor, type TensorSpec } from "../device.ts";
import { type Library, pointer } from "./library.ts";

/** Columns of one packed panel, PANEL in native/lola.h. */
const panel = 16;
/** Bytes behind a tensor that may be read, SLACK in native/memory.c. */
const slack = 256;

export class CpuTensor implements Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly type: TensorSpec["type"];
  readonly layout: "rows" | "matrix";
  readonly count: number;
  readonly bytes: number;
  readonly parts: readonly Part[];

  /** @param address of the first element; 0 once freed */
  constructor(
    spec: TensorSpec,
    public address: number,
  ) {
    this.label = spec.label;
    this.shape = spec.shape;
    this.type = spec.type;
    this.layout = spec.layout ?? "rows";
    this.count = elements(spec.shape);
    this.bytes = this.count * storageBytes[spec.type];
    this.parts = [{ tensor: this, first: 0, count: spec.shape[0] ?? 1 }];
  }

  /** [inner, cols] of a matrix. */
  get matrix(): [inner: number, cols: number] {
    return [this.shape.at(-2) ?? 1, this.shape.at(-1) ?? 1];
  }
}

/** Bytes of memory that a tensor takes. */
export function heldBytes(tensor: CpuTensor): number {
  if (tensor.layout === "rows") return tensor.bytes;
  const [, cols] = tensor.matrix;
  return (tensor.bytes / Math.max(1, cols)) * Math.ceil(cols / panel) * panel;
}

/** Allocates tensors, within what the machine can give. */
export class Memory {
  private readonly live = new Set<CpuTensor>();
  /** Those of them that are mapped files. */
  private readonly mapped = new Set<CpuTensor>();
  /** Bytes held by live tensors. */
  used = 0;

  /** @param limit bytes that tensors may take together */
  constructor(
    private readonly lib: Library,
    readonly limit: number,
  ) {}

  /** @throws LolaError "device" when it does not fit */
  allocate(spec: TensorSpec): CpuTensor {
    const tensor = new CpuTensor(spec, 0);
    const bytes = heldBytes(tensor);
    const address = this.fits(bytes) ? pointer(this.lib.lola_alloc(bytes)) : undefined;
    if (!address) throw this.refusal(spec, bytes);
    return this.hold(tensor, address, bytes);
  }

  /**
   * A file as the memory of a tensor of rows; undefined where the system cannot map it.
   * @throws LolaError "device" when it does not fit
   */
  map(spec: TensorSpec, file: number, offset: number): Mapped | undefined {
    const tensor = new CpuTensor(spec, 0);
    if (tensor.layout !== "rows") throw new Error(`${spec.label} is packed: its file cannot be its memory`);
    if (!this.fits(tensor.bytes)) throw this.refusal(spec, tensor.bytes);
    const address = pointer(this.lib.lola_map(file, offset, tensor.bytes));
    if (!address) return undefined;
    this.mapped.add(tensor);
    const read = (at: number, length: number) => {
      if (at < offset || at + length > offset + tensor.bytes + slack) throw new RangeError(`${spec.label}: beyond it`);
      return new Uint8Array(toArrayBuffer(address, at - offset, length));
    };
    return { tensor: this.hold(tensor, address, tensor.bytes), read };
  }

  private fits(bytes: number): boolean {
    return this.used + bytes <= this.limit;
  }

  private hold(tensor: CpuTensor, address: Pointer, bytes: number): CpuTensor {
    tensor.address = address;
    this.live.add(tensor);
    this.used += bytes;
    return tensor;
  }

  private refusal({ label }: TensorSpec, bytes: number): LolaError {
    const mib = (n: number) => `${(n / 2 ** 20).toFixed(1)} MiB`;
    return new LolaError(
      "device",
      `${label} needs ${mib(bytes)}: ${mib(this.used)} are in use, of ${mib(this.limit)} available to the CPU engine`,
      "a smaller model or context, or close other programs",
    );
  }

  /** Frees a tensor's memory; a view has none of its own. */
  free(tensor: CpuTensor): void {
    if (this.live.delete(tensor)) {
      const bytes = heldBytes(tensor);
      const release = this.mapped.delete(tensor) ? this.lib.lola_unmap : this.lib.lola_free;
      release(tensor.address as Pointer, bytes);
      this.used -= bytes;
    }
    tensor.address = 0;
  }

  freeAll(): void {
    for (const tensor of [...this.live]) this.free(tensor);
  }

  /** Logical bytes in, from byte `at` on. */
  write(tensor: CpuTensor, bytes: Uint8Array, at: number): void {
    const size = storageBytes[tensor.type];
    if (at % size !== 0 || bytes.length % size !== 0 || at + bytes.length > tensor.bytes) {
      throw new Error(`${tensor.label}: ${bytes.length} bytes at ${at} do not lie in its ${tensor.bytes} bytes`);
    }
    if (bytes.length === 0) return;
    if (tensor.layout === "rows") this.lib.lola_copy((tensor.address + at) as Pointer, bytes, bytes.length);
    else this.repack(tensor, bytes, at / size, bytes.length / size, 0);
  }

  /** Logical bytes, a copy. */
  read(tensor: CpuTensor): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(tensor.bytes);
    if (bytes.length === 0) return bytes;
    if (tensor.layout === "rows") this.lib.lola_copy(bytes, tensor.address as Pointer, bytes.length);
    else this.repack(tensor, bytes, 0, tensor.count, 1);
    return bytes;
  }

  private repack(tensor: CpuTensor, plain: Uint8Array, start: number, count: number, unpack: 0 | 1): void {
    const [inner, cols] = tensor.matrix;
    const size = storageBytes[tensor.type];
    this.lib.lola_repack(tensor.address as Pointer, plain, inner, cols, start, count, unpack, size);
  }
}
