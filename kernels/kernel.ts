/**
 * What a kernel is. One object per operation says its bindings, parameters, cost, reference and WGSL variants;
 * engines find everything through it. The C twin of `area/op_pass` is the function `area_op_pass` in `native/`.
 *
 * Axis legend, everywhere: b batch, t time, c channels, f feed-forward, e experts, h heads, d head size, v vocabulary.
 */

/**
 * Columns of a panel: GPUs keep a matrix [.., K, N] as [.., N / 64, K, 64] where 64 divides N, else as it is, so that a
 * workgroup reads its columns as one stream.
 */
export const panelColumns = 64;

/**
 * `table`: weights of any float type, row-major. `matrix`: weights [.., inner, cols] of any float type, packed as the
 * engine likes; one that a kernel writes (a gradient) is f32.
 */
export type ElementType = "f32" | "u32" | "table" | "matrix";

export interface Binding {
  access: "in" | "out" | "inout";
  type: ElementType;
  /** Axes for the reader, e.g. "[T, C]". */
  shape: string;
}

export type ScalarType = "u32" | "f32";

/** Traits of a GPU adapter that decide between WGSL variants. */
export interface GpuTraits {
  /** The adapter runs on the CPU (lavapipe, SwiftShader). */
  software: boolean;
  /** Smallest and largest subgroup, when WGSL subgroup operations are available. */
  subgroups?: { min: number; max: number };
  /** Products are to multiply f16 (`shader-f16`), as they do only when asked to. */
  half: boolean;
  maxWorkgroupSize: number;
  maxWorkgroupBytes: number;
}

/** One WGSL implementation of a kernel. `params` at record time hold the largest value that each variable may take. */
export interface Variant<P extends string = string> {
  name: string;
  /** WGSL, valid by itself; entry point `main`; bindings in the kernel's order, then `Params`. */
  code: string;
  /** The first variant that fits is used; one without `fits` always does. */
  fits?(gpu: GpuTraits, params: Record<P, number>): boolean;
  /**
   * Values of `override` constants. The engine adds `<BINDING>_TYPE` for every table and matrix binding that the code
   * declares an override for: 0 f32, 1 f16, 2 bf16 (read with unpack2x16float or a shift, so no f16 feature is needed).
   */
  constants?(gpu: GpuTraits, params: Record<P, number>): Record<string, number>;
  /** Workgroups for actual parameter values; must cover them for whatever `constants` returned. */
  grid(params: Record<P, number>, gpu: GpuTraits): readonly [number, number, number];
}

export interface Cost {
  /** Bytes that must move from and to memory at least once. */
  bytes: number;
  /** Floating-point operations; a multiply-add counts two. */
  flops: number;
}

/** A tensor of a test case: row-major contents before the run. */
export interface CaseTensor {
  shape: number[];
  data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
}

/** One set of inputs on which every engine must agree with the reference. */
export interface Case<B extends string = string, P extends string = string> {
  label: string;
  params: Record<P, number>;
  tensors: Record<B, CaseTensor>;
}

type ArrayOf<T extends ElementType> = T extends "u32" ? Uint32Array : Float32Array;

interface Spec<B extends Record<string, Binding>, P extends Record<string, ScalarType>> {
  /** `area/op_pass`, the path of its files. */
  name: string;
  /** One line: what is computed. */
  summary: string;
  /** In binding order: inputs, outputs, scratch. */
  bindings: B;
  /** In the order of the WGSL and C structs; each takes 4 bytes. */
  params: P;
  variants: readonly Variant<keyof P & string>[];
  /** @param weightBytes bytes of one element of a table or matrix */
  cost(params: Record<keyof P, number>, weightBytes: number): Cost;
  /** The operation in plain loops: the oracle for every engine. Tables and matrices come as f32, row-major. */
  reference(bindings: { [K in keyof B]: ArrayOf<B[K]["type"]> }, params: Record<keyof P, number>): void;
  cases(): Case<keyof B & string, keyof P & string>[];
}

/** A kernel with its binding and parameter names erased, as engines and tests see it. */
export interface Kernel {
  readonly name: string;
  readonly summary: string;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly params: Readonly<Record<string, ScalarType>>;
  readonly variants: readonly Variant[];
  cost(params: Record<string, number>, weightBytes: number): Cost;
  reference(bindings: Record<string, Float32Array | Uint32Array>, params: Record<string, number>): void;
  cases(): Case[];
}

/** Checks a kernel's parts against each other while its author's names are still known, then erases them. */
export function defineKernel<const B extends Record<string, Binding>, const P extends Record<string, ScalarType>>(
  spec: Spec<B, P>,
): Kernel {
  return spec as unknown as Kernel;
}

/** `sqrt(2/π)`, the constant of the tanh form of GELU (spec §1.2). */
const geluScale = 0.7978845608;

/** gelu_fast: `0.5 x (1 + tanh(x c (1 + 0.044715 x²)))`. */
export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(x * geluScale * (1 + 0.044715 * x * x)));
}

/** Derivative of {@link gelu}. */
export function geluSlope(x: number): number {
  const tanh = Math.tanh(x * geluScale * (1 + 0.044715 * x * x));
  return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * geluScale * (1 + 3 * 0.044715 * x * x);
}

export function ceilDiv(a: number, b: number): number {
  return Math.ceil(a / b);
}

/** Workgroups for so many blocks, in rows of 256, since no dimension may hold more than 65,535: block = 256 · y + x. */
export function blockGrid(blocks: number): [number, number, number] {
  return [Math.min(blocks, 256), ceilDiv(blocks, 256), 1];
}
