/** The GPU engine: recorded programs of WGSL kernels on Dawn. */
import type { GpuTraits } from "../../../kernels/kernel.ts";
import type { Device, DeviceInfo, Precision, Program, Step, Tensor, TensorSpec } from "../device.ts";
import { elements } from "../device.ts";
import { bufferUsage, collectFirst, mapMode, type Opened, openDawn } from "./dawn.ts";
import { type Faults, Health } from "./health.ts";
import { GpuTensor, gpuTensor, Memory, release } from "./memory.ts";
import { Pipelines } from "./pipelines.ts";
import { GpuProgram } from "./program.ts";

export { probeGpu } from "./dawn.ts";

export interface GpuOptions {
  /** Take a software adapter, and no other. */
  software: boolean;
  /** Of the operands of large matrix products: f32, or f16 where the adapter has `shader-f16`. Default: f32. */
  precision?: Precision;
  /** Pretend that a binding can hold no more bytes than this. */
  bindingLimit?: number;
  /** Faults to inject. */
  faults?: Faults;
}

/** A run is cut into submits of about this much work, so that it can be cancelled and no watchdog bites. */
const flopsPerSubmit = { hardware: 2e12, software: 4e9 };

/** Bytes of a download that are in flight at once. */
const downloadPiece = 64 << 20;

/** `Device.time` repeats a step in one submit until it takes this long, so that the wait does not count. */
const timedSeconds = 0.02;

export class GpuDevice implements Device {
  readonly info: DeviceInfo;
  readonly traits: GpuTraits;
  private readonly device: GPUDevice;
  private readonly health: Health;
  private readonly tensors: Memory;
  private readonly pipelines: Pipelines;
  private readonly programs = new Set<GpuProgram>();
  /** Pipelines that have run. */
  private readonly warm = new Set<GPUComputePipeline>();
  private staging: GPUBuffer | undefined;
  private firstRuns = 0;

  constructor({ device, traits, report }: Opened, options: GpuOptions) {
    this.device = device;
    this.traits = traits;
    const name = traits.half ? `${report.name} in f16` : report.name;
    this.health = new Health(device, options.faults ?? {});
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    const limit = Math.min(
      maxStorageBufferBindingSize,
      maxBufferSize,
      options.bindingLimit ?? Number.POSITIVE_INFINITY,
    );
    this.info = {
      kind: "gpu",
      name,
      software: report.software,
      // A software adapter's memory is the system's.
      ...(report.software && { memoryLimit: process.availableMemory() }),
      bindingLimit: limit,
      details: report.details,
    };
    this.tensors = new Memory(device, this.health, limit);
    this.pipelines = new Pipelines(device, traits, this.health);
  }

  tensor(spec: TensorSpec): Tensor {
    return this.tensors.tensor(spec);
  }

  view(tensor: Tensor, start: number, shape: readonly number[]): Tensor {
    const { label, type, layout, storage, offset, bytes } = gpuTensor(tensor);
    if (!storage || layout === "matrix") throw new Error(`${label} cannot be viewed`);
    const view = new GpuTensor({ label, shape, type }, storage, offset + (start * bytes) / elements(tensor.shape));
    if (start < 0 || view.offset + view.bytes > offset + bytes) throw new RangeError(`a view beyond ${label}`);
    return view;
  }

  flat(tensor: Tensor): Tensor {
    const { label, type, shape, storage, offset } = gpuTensor(tensor);
    return new GpuTensor({ label, type, shape: [elements(shape)] }, storage, offset);
  }

  upload(tensor: Tensor, bytes: Uint8Array, at = 0): void {
    this.health.check();
    this.tensors.upload(gpuTensor(tensor), bytes, at);
  }

  async download(tensor: Tensor): Promise<Uint8Array> {
    await this.health.settle();
    const result = new Uint8Array(tensor.bytes);
    let at = 0;
    for (const { tensor: part } of tensor.parts) {
      const { panels } = gpuTensor(part);
      const raw = await this.raw(gpuTensor(part));
      result.set(panels ? panels.unpack(raw) : raw, at);
      at += raw.length;
    }
    return result;
  }

  /** Contents of one part as they lie in its buffer. */
  private async raw({ buffer, offset, bytes }: GpuTensor): Promise<Uint8Array> {
    const result = new Uint8Array(bytes);
    for (let from = 0; from < bytes; from += downloadPiece) {
      const size = Math.min(downloadPiece, bytes - from);
      const commands = this.device.createCommandEncoder();
      commands.copyBufferToBuffer(buffer, offset + from, this.stage(words(size)), 0, words(size));
      const [piece] = await this.finish(commands, [size]);
      result.set(piece!, from);
    }
    return result;
  }

  free(tensor: Tensor): void {
    const freed = gpuTensor(tensor);
    for (const program of this.programs) {
      if (!program.uses(freed)) continue;
      program.close();
      this.programs.delete(program);
    }
    this.tensors.free(freed);
  }

  program(label: string, steps: readonly Step[], maxima: Record<string, number> = {}): Program {
    this.health.check();
    collectFirst();
    const { device, traits, pipelines, health } = this;
    const program = new GpuProgram(label, steps, maxima, device, traits, pipelines, health);
    this.programs.add(program);
    return program;
  }

  async run(
    program: Program,
    values: Record<string, number> = {},
    options: { read?: readonly Tensor[]; signal?: AbortSignal } = {},
  ): Promise<Uint8Array[]> {
    const { read = [], signal } = options;
    signal?.throwIfAborted();
    const recorded = this.recorded(program);
    await this.health.settle();
    await this.warmUp(recorded);
    recorded.set(values);
    const pieces = cut(recorded, this.traits.software ? flopsPerSubmit.software : flopsPerSubmit.hardware);
    for (const [from, to] of pieces.slice(0, -1)) {
      await this.finish(
        this.encoded((pass) => recorded.encode(pass, from, to)),
        [],
      );
      signal?.throwIfAborted();
    }
    const commands = this.encoded((pass) => recorded.encode(pass, ...pieces.at(-1)!));
    const sizes = read.map((tensor) => tensor.bytes);
    const staging = read.length > 0 ? this.stage(sizes.reduce((sum, size) => sum + words(size), 0)) : undefined;
    let at = 0;
    for (const tensor of read) {
      const { buffer, offset, bytes } = gpuTensor(tensor);
      commands.copyBufferToBuffer(buffer, offset, staging!, at, words(bytes));
      at += words(bytes);
    }
    const results = await this.finish(commands, sizes);
    return results.map((bytes, i) => gpuTensor(read[i]!).panels?.unpack(bytes) ?? bytes);
  }

  async time(program: Program, values: Record<string, number> = {}, repeats = 5): Promise<Float64Array> {
    const recorded = this.recorded(program);
    await this.health.settle();
    await this.warmUp(recorded);
    recorded.set(values);
    const seconds = async (step: number, times: number) => {
      const start = performance.now();
      const commands = this.encoded((pass) => {
        for (let i = 0; i < times; i++) recorded.encode(pass, step, step + 1);
      });
      await this.finish(commands, []);
      return (performance.now() - start) / 1000;
    };
    // Positions and the like decide how much work later steps have, so they are put back.
    const counters = new Map<Tensor, Uint8Array>();
    for (const { kernel, bindings } of program.steps)
      for (const [name, { access, type }] of Object.entries(kernel.bindings))
        if (type === "u32" && access === "inout") counters.set(bindings[name]!, await this.download(bindings[name]!));
    const restore = () => {
      for (const [tensor, bytes] of counters) this.upload(tensor, bytes);
    };
    const result = new Float64Array(recorded.dispatches.length);
    for (const step of result.keys()) {
      let times = 1;
      while ((await seconds(step, times)) < timedSeconds && times < 4096) times *= 2;
      const samples = new Float64Array(repeats);
      for (const i of samples.keys()) samples[i] = (await seconds(step, times)) / times;
      result[step] = samples.sort()[repeats >> 1]!;
      restore();
    }
    return result;
  }

  get memory(): number {
    return this.tensors.used;
  }

  get compileSeconds(): number {
    return this.pipelines.seconds + this.firstRuns;
  }

  /** Distinct pipelines compiled so far. */
  get pipelineCount(): number {
    return this.pipelines.count;
  }

  close(): void {
    this.health.close();
  }

  private recorded(program: Program): GpuProgram {
    if (program instanceof GpuProgram && this.programs.has(program)) return program;
    throw new Error(`${program.label} was recorded on another device, or a tensor of it was freed`);
  }

  /**
   * Lets the driver finish compiling, which it does when a pipeline first runs, before work is timed: runs each new
   * pipeline once with parameters that are still all zero, so that it finds no rows to work on.
   */
  private async warmUp(program: GpuProgram): Promise<void> {
    const cold = program.cold(this.warm);
    if (cold.length === 0) return;
    // Uploads still on their way are not compilation.
    await this.finish(this.device.createCommandEncoder(), []);
    const start = performance.now();
    const commands = this.encoded((pass) => {
      for (const { pipeline, group } of cold) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(1);
      }
    });
    await this.finish(commands, []);
    this.firstRuns += (performance.now() - start) / 1000;
  }

  private encoded(work: (pass: GPUComputePassEncoder) => void): GPUCommandEncoder {
    const commands = this.device.createCommandEncoder();
    const pass = commands.beginComputePass();
    work(pass);
    pass.end();
    releasePass(pass);
    return commands;
  }

  /**
   * Submits, waits, and reads what was copied to the staging buffer.
   * @param sizes bytes of each tensor there, which start at multiples of 4
   */
  private async finish(encoder: GPUCommandEncoder, sizes: readonly number[]): Promise<Uint8Array[]> {
    const commands = encoder.finish();
    this.health.submitting();
    this.device.queue.submit([commands]);
    release(commands);
    if (sizes.length === 0) {
      await this.health.alive(this.device.queue.onSubmittedWorkDone());
      this.health.check();
      return [];
    }
    const staging = this.staging!;
    const total = sizes.reduce((sum, size) => sum + words(size), 0);
    await this.health.alive(staging.mapAsync(mapMode.READ, 0, total));
    this.health.check();
    const mapped = new Uint8Array(staging.getMappedRange(0, total));
    let at = 0;
    const results = sizes.map((size) => {
      const result = mapped.slice(at, at + size);
      at += words(size);
      return result;
    });
    staging.unmap();
    return results;
  }

  /** The staging buffer, at least `size` bytes of it. */
  private stage(size: number): GPUBuffer {
    if (!this.staging || this.staging.size < size) {
      this.staging?.destroy();
      const usage = bufferUsage.MAP_READ | bufferUsage.COPY_DST;
      this.staging = this.health.buffer("read-back", Math.max(4096, size), usage);
    }
    return this.staging;
  }
}

/** Copies move whole words. */
const words = (bytes: number) => Math.ceil(bytes / 4) * 4;

/** Ranges of dispatches with at most `limit` flops each, or one dispatch. */
function cut({ dispatches }: GpuProgram, limit: number): [from: number, to: number][] {
  const pieces: [number, number][] = [];
  let from = 0;
  let sum = 0;
  for (const [i, { step, params }] of dispatches.entries()) {
    const { flops } = step.kernel.cost(params, 4);
    if (i > from && sum + flops > limit) {
      pieces.push([from, i]);
      from = i;
      sum = 0;
    }
    sum += flops;
  }
  pieces.push([from, dispatches.length]);
  return pieces;
}

/** bun-webgpu never frees a pass by itself. */
function releasePass(pass: GPUComputePassEncoder): void {
  const { lib, ptr } = pass as unknown as { lib: { wgpuComputePassEncoderRelease(ptr: unknown): void }; ptr: unknown };
  lib.wgpuComputePassEncoderRelease(ptr);
}

/**
 * Opens the GPU.
 * @throws LolaError "device" when there is none of the sort asked for, or without that precision
 */
export async function openGpu(options: GpuOptions): Promise<GpuDevice> {
  return new GpuDevice(await openDawn(options.software, options.precision ?? "f32"), options);
}
