/**
 * The interface that the model is written against, once, for every engine.
 *
 * Work is recorded first and run often: a program is a list of steps (kernel, tensors, parameters), prepared once; a run
 * gives values to its variables. So an engine can compile, bind and plan ahead, and a decoded token costs one `run`.
 */
import type { Kernel } from "../../kernels/kernel.ts";
import { type FloatType, floatBytes } from "../base/float.ts";

export type DeviceKind = "gpu" | "cpu" | "reference";

export type StorageType = FloatType | "u32";

/** Bytes of one element. */
export const storageBytes: Record<StorageType, number> = { ...floatBytes, u32: 4 };

export interface TensorSpec {
  /** For error messages, memory tables and debuggers. */
  label: string;
  /** Row-major logical shape. */
  shape: readonly number[];
  type: StorageType;
  /** `matrix`: [.., inner, cols], read by matrix products alone, so the engine may pack it as it likes. Default `rows`. */
  layout?: "rows" | "matrix";
  /** The first axis may be cut into parts where one binding cannot hold the whole. */
  split?: boolean;
}

export interface Tensor extends Readonly<TensorSpec> {
  /** Bytes of the logical contents. */
  readonly bytes: number;
  /** One part, the tensor itself, unless it had to be split. A step binds parts. */
  readonly parts: readonly Part[];
}

/** Indices [first, first + count) of the first axis. */
export interface Part {
  tensor: Tensor;
  first: number;
  count: number;
}

export interface Step {
  kernel: Kernel;
  bindings: Record<string, Tensor>;
  /** A string names a variable, whose value every run gives. */
  params: Record<string, number | string>;
}

export interface Program {
  readonly label: string;
  readonly steps: readonly Step[];
}

/**
 * Of the operands of matrix products: bf16 on CPUs, f16 on GPUs, which sum 16 products in f16 too. Other sums, and all else
 * that is not weights on disk, are f32.
 */
export const precisions = ["f32", "bf16", "f16"] as const;
export type Precision = (typeof precisions)[number];

export interface DeviceInfo {
  kind: DeviceKind;
  /** As users know it, e.g. "llvmpipe (LLVM 15.0.7, 256 bits)" or "AVX-512, 2 threads". */
  name: string;
  /** Runs on the CPU through a GPU interface. */
  software: boolean;
  /** Bytes that its tensors may take in all; it is not there where the system does not tell. */
  memoryLimit?: number;
  /** Bytes of the largest tensor, or row of one that may be split, where there is such a limit. */
  bindingLimit?: number;
  /** Facts for `lola doctor`: driver, limits, features, instruction set. */
  details: Record<string, string | number>;
}

/** A tensor whose memory is a file's. */
export interface Mapped {
  tensor: Tensor;
  /** The same memory, by offset in the file; of the tensor, and of up to 256 bytes behind it. */
  read(offset: number, length: number): Uint8Array;
}

export interface Device {
  readonly info: DeviceInfo;

  /** Zero-filled. @throws LolaError "device" when it does not fit, with the numbers. */
  tensor(spec: TensorSpec): Tensor;

  /**
   * A tensor of rows whose contents are those of an open file from byte `offset` on, mapped, not copied: the file must not change.
   * Undefined where the system cannot map it.
   * @throws LolaError "device" when it does not fit
   */
  map?(spec: TensorSpec, file: number, offset: number): Mapped | undefined;

  /** `shape` elements of `tensor` from element `start` on, sharing its memory; not of matrices or split tensors. */
  view(tensor: Tensor, start: number, shape: readonly number[]): Tensor;

  /**
   * All elements of one part as the engine keeps them, padding included, as rows [n] that share its memory:
   * for element-wise work on tensors of equal shape and layout.
   */
  flat(tensor: Tensor): Tensor;

  /** Logical little-endian bytes, row-major, to byte offset `at` (a multiple of the element size; any length of whole elements). */
  upload(tensor: Tensor, bytes: Uint8Array, at?: number): void;

  /** Logical bytes back, unpacked. */
  download(tensor: Tensor): Promise<Uint8Array>;

  /** Frees a tensor's memory; programs that use it must not run again. */
  free(tensor: Tensor): void;

  /** @param maxima the largest value that each variable will take */
  program(label: string, steps: readonly Step[], maxima?: Record<string, number>): Program;

  /**
   * Runs all steps in order, then reads back the given tensors: one submit, one wait.
   * The event loop keeps turning during long runs. Runs may not overlap.
   * @throws LolaError "device" when the device is lost or fails; DOMException AbortError after `signal`
   */
  run(
    program: Program,
    values?: Record<string, number>,
    options?: { read?: readonly Tensor[]; signal?: AbortSignal },
  ): Promise<Uint8Array[]>;

  /** Seconds that each step takes, alone, median of `repeats`. */
  time(program: Program, values?: Record<string, number>, repeats?: number): Promise<Float64Array>;

  /** Bytes held by live tensors. */
  readonly memory: number;

  /** Seconds spent compiling so far (shaders; 0 where there is nothing to compile). */
  readonly compileSeconds: number;

  close(): void;
}

/** Elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** A step's parameters with variables replaced by their values. */
export function resolve(step: Step, values: Record<string, number>): Record<string, number> {
  const resolved: Record<string, number> = {};
  for (const [name, value] of Object.entries(step.params)) {
    const number = typeof value === "number" ? value : values[value];
    if (number === undefined) throw new Error(`${step.kernel.name}: no value for the variable ${value}`);
    resolved[name] = number;
  }
  return resolved;
}
