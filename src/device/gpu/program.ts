/** A recorded program: its pipelines, bind groups and parameters, made once; a run only changes parameters. */
import type { GpuTraits, Kernel } from "../../../kernels/kernel.ts";
import { type Program, resolve, type Step } from "../device.ts";
import { bufferUsage } from "./dawn.ts";
import type { Health } from "./health.ts";
import { type GpuTensor, gpuTensor } from "./memory.ts";
import { type Compiled, type Pipelines, paramBytes } from "./pipelines.ts";

/** One dispatch. */
export interface Dispatch extends Compiled {
  step: Step;
  group: GPUBindGroup;
  /** Parameters of the last run. */
  params: Record<string, number>;
  grid: readonly [number, number, number];
}

export class GpuProgram implements Program {
  readonly dispatches: readonly Dispatch[];
  private readonly uniforms: GPUBuffer;
  private readonly words: Uint32Array<ArrayBuffer>;
  private readonly floats: Float32Array<ArrayBuffer>;
  /** Words between the parameters of two steps. */
  private readonly stride: number;
  private readonly buffers: ReadonlySet<GPUBuffer>;

  /** @throws Error when a step is recorded wrongly: a bug of the caller */
  constructor(
    readonly label: string,
    readonly steps: readonly Step[],
    maxima: Record<string, number>,
    private readonly device: GPUDevice,
    private readonly traits: GpuTraits,
    pipelines: Pipelines,
    health: Health,
  ) {
    const { minUniformBufferOffsetAlignment: alignment, minStorageBufferOffsetAlignment } = device.limits;
    const widest = Math.max(...steps.map(({ kernel }) => paramBytes(kernel)));
    this.stride = (Math.ceil(widest / alignment) * alignment) / 4;
    this.words = new Uint32Array(steps.length * this.stride);
    this.floats = new Float32Array(this.words.buffer);
    const usage = bufferUsage.UNIFORM | bufferUsage.COPY_DST;
    this.uniforms = health.buffer(`parameters of ${label}`, this.words.byteLength, usage);
    this.dispatches = steps.map((step, i) => {
      const bound = bind(step, minStorageBufferOffsetAlignment);
      const types = Object.fromEntries(Object.entries(step.bindings).map(([name, { type }]) => [name, type]));
      const compiled = pipelines.get(step.kernel, resolve(step, maxima), types);
      const slot = { buffer: this.uniforms, offset: i * this.stride * 4, size: paramBytes(step.kernel) };
      const group = device.createBindGroup({
        layout: compiled.layout,
        entries: [...bound.map(binding), slot].map((resource, at) => ({ binding: at, resource })),
      });
      return { ...compiled, step, group, params: {}, grid: [0, 0, 0] };
    });
    this.buffers = new Set(steps.flatMap((s) => Object.values(s.bindings).map((t) => gpuTensor(t).buffer)));
  }

  uses(tensor: GpuTensor): boolean {
    return tensor.parts.some(({ tensor: part }) => this.buffers.has(gpuTensor(part).buffer));
  }

  /** Gives the variables their values: uploads parameters that changed, plans the grids. */
  set(values: Record<string, number>): void {
    let from = Number.POSITIVE_INFINITY;
    let to = 0;
    for (const [i, dispatch] of this.dispatches.entries()) {
      const { step, variant } = dispatch;
      if (dispatch.grid[0] > 0 && Object.values(step.params).every((p) => typeof p === "number")) continue;
      dispatch.params = resolve(step, values);
      dispatch.grid = checkedGrid(step.kernel, variant.grid(dispatch.params, this.traits), this.device.limits);
      let at = i * this.stride;
      for (const [name, type] of Object.entries(step.kernel.params)) {
        const value = dispatch.params[name];
        if (value === undefined) throw new Error(`${step.kernel.name}: no parameter ${name}`);
        const before = this.words[at]!;
        if (type === "u32") this.words[at] = value;
        else this.floats[at] = value;
        if (this.words[at] !== before) {
          from = Math.min(from, at);
          to = at + 1;
        }
        at++;
      }
    }
    if (from < to) this.device.queue.writeBuffer(this.uniforms, from * 4, this.words, from, to - from);
  }

  /** Encodes dispatches [from, to). */
  encode(pass: GPUComputePassEncoder, from: number, to: number): void {
    let current: GPUComputePipeline | undefined;
    for (let i = from; i < to; i++) {
      const { pipeline, group, grid } = this.dispatches[i]!;
      if (grid[0] === 0 || grid[1] === 0 || grid[2] === 0) continue;
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
  }

  /** One dispatch of each pipeline that is not in `warm`, which gets them. */
  cold(warm: Set<GPUComputePipeline>): Dispatch[] {
    return this.dispatches.filter(({ pipeline }) => !warm.has(pipeline) && warm.add(pipeline));
  }

  close(): void {
    this.uniforms.destroy();
    for (const { group } of this.dispatches) (group as unknown as { destroy(): void }).destroy();
  }
}

function binding(tensor: GpuTensor): GPUBufferBinding {
  const { buffer, offset, storage, bytes } = tensor;
  if (!storage) throw new Error("unreachable");
  // A view ends where it ends; a whole buffer includes its padding to a vec4.
  return offset === 0 && bytes + 16 > buffer.size ? { buffer } : { buffer, offset, size: Math.ceil(bytes / 4) * 4 };
}

/** The tensors of a step in the kernel's order, checked. */
function bind({ kernel, bindings }: Step, alignment: number): GpuTensor[] {
  const written = new Set<GPUBuffer>();
  const read = new Set<GPUBuffer>();
  const bound = Object.entries(kernel.bindings).map(([name, { access, type }]) => {
    const tensor = bindings[name];
    if (!tensor) throw new Error(`${kernel.name}: nothing bound to ${name}`);
    const found = gpuTensor(tensor);
    const { buffer } = found;
    const fits = type === "f32" || type === "u32" ? tensor.type === type : tensor.type !== "u32";
    if (!fits) throw new Error(`${kernel.name}: ${name} wants ${type}, and ${tensor.label} is ${tensor.type}`);
    if (found.offset % alignment !== 0)
      throw new Error(`${kernel.name}: ${name} starts at byte ${found.offset}, not at a multiple of ${alignment}`);
    if (written.has(buffer) || (access !== "in" && read.has(buffer)))
      throw new Error(`${kernel.name}: ${name} shares the buffer of ${tensor.label} with another binding`);
    (access === "in" ? read : written).add(buffer);
    return found;
  });
  return bound;
}

function checkedGrid(kernel: Kernel, grid: readonly [number, number, number], limits: GPUSupportedLimits) {
  const most = limits.maxComputeWorkgroupsPerDimension;
  if (grid.some((n) => n > most)) throw new Error(`${kernel.name}: grid ${grid.join(" × ")} exceeds ${most}`);
  return grid;
}
