/** Tensors in GPU buffers: allocation in parts, views, uploads at any element. */
import { elements, type Part, storageBytes, type Tensor, type TensorSpec } from "../device.ts";
import { bindingBytes, rowsOfPart } from "../split.ts";
import { bufferUsage } from "./dawn.ts";
import type { Health } from "./health.ts";
import { Panels } from "./panels.ts";

/** A buffer, and what is known of its words that were written only in half. */
interface Storage {
  buffer: GPUBuffer;
  /** Word index → contents, for words at the edges of uploads of 16-bit elements. */
  edges: Map<number, number>;
}

export class GpuTensor implements Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly type: TensorSpec["type"];
  readonly layout: "rows" | "matrix";
  readonly split: boolean;
  readonly bytes: number;
  readonly parts: readonly Part[];
  /** How its contents are packed, if they are. */
  readonly panels: Panels | undefined;

  /**
   * @param storage none for a tensor in several parts
   * @param offset bytes from the start of the buffer
   */
  constructor(
    spec: TensorSpec,
    readonly storage: Storage | undefined,
    readonly offset = 0,
    parts?: readonly Part[],
  ) {
    this.label = spec.label;
    this.shape = spec.shape;
    this.type = spec.type;
    this.layout = spec.layout ?? "rows";
    this.split = spec.split ?? false;
    this.bytes = elements(spec.shape) * storageBytes[spec.type];
    this.panels = Panels.of(spec);
    this.parts = parts ?? [{ tensor: this, first: 0, count: spec.shape[0] ?? 1 }];
  }

  /** Its only part's buffer. */
  get buffer(): GPUBuffer {
    if (!this.storage) throw new Error(`${this.label} is split: bind its parts`);
    return this.storage.buffer;
  }
}

/** The tensor as this engine made it. */
export function gpuTensor(tensor: Tensor): GpuTensor {
  if (tensor instanceof GpuTensor) return tensor;
  throw new Error(`${tensor.label} belongs to another device`);
}

/** Dawn keeps a copy of every upload until the next submit. */
const uploadsPerSubmit = 64 << 20;

export class Memory {
  /** Bytes of live buffers. */
  used = 0;
  private readonly live = new Map<GPUBuffer, number>();
  private uploaded = 0;

  /** @param bindingLimit largest binding, in bytes */
  constructor(
    private readonly device: GPUDevice,
    private readonly health: Health,
    readonly bindingLimit: number,
  ) {}

  /** @throws LolaError "device" when the tensor, or a row of one that may be split, is larger than a binding may be */
  tensor(spec: TensorSpec): GpuTensor {
    const [rows = 1, ...row] = spec.shape;
    const count = rowsOfPart(spec, this.bindingLimit);
    if (count === rows) {
      const bytes = bindingBytes(elements(spec.shape) * storageBytes[spec.type]);
      return new GpuTensor(spec, this.allocate(spec.label, bytes));
    }
    const parts: Part[] = [];
    for (let first = 0; first < rows; first += count) {
      const size = Math.min(count, rows - first);
      const part = { ...spec, label: `${spec.label}[${first}…]`, shape: [size, ...row], split: false };
      parts.push({ tensor: this.tensor(part), first, count: size });
    }
    return new GpuTensor(spec, undefined, 0, parts);
  }

  private allocate(label: string, size: number): Storage {
    const usage = bufferUsage.STORAGE | bufferUsage.COPY_SRC | bufferUsage.COPY_DST;
    const buffer = this.health.buffer(label, size, usage);
    this.live.set(buffer, size);
    this.used += size;
    return { buffer, edges: new Map() };
  }

  free(tensor: GpuTensor): void {
    for (const { tensor: part } of tensor.parts) {
      const { buffer } = gpuTensor(part);
      this.used -= this.live.get(buffer) ?? 0;
      this.live.delete(buffer);
      buffer.destroy();
    }
  }

  /** See `Device.upload`. */
  upload(tensor: GpuTensor, bytes: Uint8Array, at: number): void {
    if (at < 0 || at + bytes.length > tensor.bytes)
      throw new RangeError(`${tensor.label}: bytes ${at}…${at + bytes.length} of ${tensor.bytes}`);
    const rowBytes = tensor.bytes / (tensor.shape[0] || 1);
    for (const { tensor: part, first, count } of tensor.parts) {
      const start = tensor.storage ? 0 : first * rowBytes;
      const end = tensor.storage ? tensor.bytes : start + count * rowBytes;
      const from = Math.max(at, start);
      const to = Math.min(at + bytes.length, end);
      if (from < to) this.place(gpuTensor(part), bytes.subarray(from - at, to - at), from - start);
    }
  }

  private place(tensor: GpuTensor, bytes: Uint8Array, at: number): void {
    const runs = tensor.panels?.pack(bytes, at) ?? [{ bytes, at }];
    for (const run of runs) this.write(tensor, run.bytes, run.at);
  }

  private write(tensor: GpuTensor, bytes: Uint8Array, at: number): void {
    const { buffer, edges } = tensor.storage!;
    let start = tensor.offset + at;
    for (const word of edges.keys()) if (word * 4 >= start && word * 4 + 4 <= start + bytes.length) edges.delete(word);
    if (start % 4 !== 0) {
      this.writeHalf(tensor.storage!, start, bytes.subarray(0, 2));
      bytes = bytes.subarray(2);
      start += 2;
    }
    const whole = bytes.length & ~3;
    for (let from = 0; from < whole; from += uploadsPerSubmit) {
      const size = Math.min(uploadsPerSubmit, whole - from);
      this.device.queue.writeBuffer(buffer, start + from, bytes, from, size);
      this.uploaded += size;
      if (this.uploaded >= uploadsPerSubmit) this.flush();
    }
    if (whole < bytes.length) this.writeHalf(tensor.storage!, start + whole, bytes.subarray(whole));
  }

  /** Writes one 16-bit element into its word, whose other half is zero or came alone as well: uploads do not overlap. */
  private writeHalf({ buffer, edges }: Storage, at: number, bytes: Uint8Array): void {
    const word = at >> 2;
    const shift = at % 4 === 0 ? 0 : 16;
    const value = (bytes[0]! | (bytes[1]! << 8)) << shift;
    const merged = ((edges.get(word) ?? 0) & ~(0xffff << shift)) | value;
    edges.set(word, merged);
    this.device.queue.writeBuffer(buffer, word * 4, Uint32Array.of(merged));
  }

  /** Hands the uploads over, so that Dawn can let go of its copies. */
  private flush(): void {
    this.uploaded = 0;
    const commands = this.device.createCommandEncoder().finish();
    this.health.submitting();
    this.device.queue.submit([commands]);
    release(commands);
    (this.device as unknown as { tick(): void }).tick();
  }
}

/** bun-webgpu frees a command buffer only when told. */
export function release(commands: GPUCommandBuffer): void {
  (commands as unknown as { _destroy(): void })._destroy();
}
