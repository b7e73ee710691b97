/** Programs as arrays of native steps (native/lola.h), written once; a run changes only the values of variables. */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import type { Program, Step, StorageType } from "../device.ts";
import { type Library, stepLayout as layout, type NativeKernel, pointer, stale } from "./library.ts";
import { CpuTensor } from "./memory.ts";
import { signatureOf } from "./signature.ts";

const mostBindings = 8;
const typeNumbers: Record<StorageType, number> = { f32: 0, f16: 1, bf16: 2, u32: 3 };

/** A parameter to set at each run. */
interface Patch {
  variable: string;
  offset: number;
  float: boolean;
}

/** Frees the steps of programs that are out of reach. */
const collected = new FinalizationRegistry((release: () => void) => release());

export class CpuProgram implements Program {
  readonly address: Pointer;
  private readonly view: DataView;
  private readonly patches: Patch[] = [];

  /**
   * @param kernels of the table that the pool runs, by name
   * @throws LolaError "failed" when the library was built for other kernels than these
   */
  constructor(
    readonly label: string,
    readonly steps: readonly Step[],
    lib: Library,
    kernels: ReadonlyMap<string, NativeKernel>,
  ) {
    for (const kernel of new Set(steps.map((step) => step.kernel)))
      if (kernels.get(kernel.name)?.signature !== signatureOf(kernel)) throw stale(kernel.name);
    const bytes = Math.max(1, steps.length) * layout.step;
    const address = pointer(lib.lola_alloc(bytes));
    if (!address) throw new Error(`no memory for the program ${label}`);
    collected.register(this, () => lib.lola_free(address, bytes));
    this.address = address;
    this.view = new DataView(toArrayBuffer(address, 0, bytes));
    for (const [i, step] of steps.entries()) this.write(step, i * layout.step, kernels);
  }

  private write(step: Step, at: number, kernels: ReadonlyMap<string, NativeKernel>): void {
    const { kernel } = step;
    this.view.setUint32(at + layout.kernel, kernels.get(kernel.name)!.index, true);
    for (const [i, [name, { type }]] of Object.entries(kernel.bindings).entries()) {
      const tensor = step.bindings[name];
      if (!(tensor instanceof CpuTensor) || tensor.address === 0 || i >= mostBindings) {
        throw new Error(`${this.label}, ${kernel.name}: ${name} is no live tensor of this device`);
      }
      const weights = type === "matrix" || type === "table";
      const matches = weights ? tensor.type !== "u32" : tensor.type === type;
      if (!matches || (tensor.layout === "matrix") !== (type === "matrix")) {
        throw new Error(`${this.label}, ${kernel.name}: ${name} takes ${type}, not ${tensor.type} ${tensor.layout}`);
      }
      const to = at + layout.bind + i * layout.binding;
      this.view.setBigUint64(to, BigInt(tensor.address), true);
      this.view.setBigUint64(to + 8, BigInt(tensor.count), true);
      this.view.setUint32(to + 16, typeNumbers[tensor.type], true);
    }
    for (const [i, [name, scalar]] of Object.entries(kernel.params).entries()) {
      const value = step.params[name];
      if (value === undefined) throw new Error(`${this.label}, ${kernel.name}: no parameter ${name}`);
      const patch = { offset: at + layout.params + 4 * i, float: scalar === "f32" };
      if (typeof value === "string") this.patches.push({ ...patch, variable: value });
      else this.set(patch, value);
    }
  }

  private set({ offset, float }: { offset: number; float: boolean }, value: number): void {
    if (float) this.view.setFloat32(offset, value, true);
    else this.view.setUint32(offset, value, true);
  }

  /** Gives the variables their values. */
  assign(values: Record<string, number>): void {
    for (const patch of this.patches) {
      const value = values[patch.variable];
      if (value === undefined) throw new Error(`${this.label}: no value for the variable ${patch.variable}`);
      this.set(patch, value);
    }
  }

  /** Seconds that each step of the last run took. */
  seconds(): Float64Array {
    return Float64Array.from(this.steps, (_, i) => this.view.getFloat64(i * layout.step + layout.seconds, true));
  }

  /** The step and binding that `lola_start` refused. */
  refusal(code: number): string {
    const step = this.steps[code >> 4]!;
    const name = Object.keys(step.kernel.bindings)[code & 15]!;
    return `${this.label}, step ${code >> 4}, ${step.kernel.name}: ${name} is too small for these parameters`;
  }
}
