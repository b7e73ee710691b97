/** The CPU engine: native kernels on a pool of threads, behind the device interface. */

import type { Pointer } from "bun:ffi";
import { availableParallelism } from "node:os";
import { LolaError } from "../../base/errors.ts";
import {
  type Device,
  type DeviceInfo,
  elements,
  type Mapped,
  type Precision,
  type Program,
  type Step,
  storageBytes,
  type Tensor,
  type TensorSpec,
} from "../device.ts";
import {
  type InstructionSet,
  instructionNames,
  kernelsOf,
  type Library,
  library,
  type NativeKernel,
  permit,
  pointer,
  usableSets,
} from "./library.ts";
import { CpuTensor, heldBytes, Memory } from "./memory.ts";
import { CpuProgram } from "./program.ts";

/** How long one native call may keep the event loop waiting. */
const sliceMilliseconds = 10;

export interface CpuOptions {
  /** Threads that compute, this one included. Default: all that the system lets the process use. */
  threads?: number;
  /** Of the operands of matrix products; everything else, their sums too, is f32. Default: f32. */
  precision?: Precision;
  /** Default: the fastest of that precision that the processor has. */
  isa?: InstructionSet;
  /** Bytes that tensors may take. Default: what the system has available now. */
  memoryLimit?: number;
}

export class CpuDevice implements Device {
  readonly info: DeviceInfo;
  readonly compileSeconds = 0;
  private readonly tensors: Memory;
  private readonly kernels: ReadonlyMap<string, NativeKernel>;
  private running: CpuProgram | undefined;
  private closed = false;
  private lastTurn = performance.now();

  constructor(
    private readonly lib: Library,
    private readonly pool: Pointer,
    kernels: Pointer,
    readonly isa: InstructionSet,
    readonly threads: number,
    memoryLimit: number,
  ) {
    this.tensors = new Memory(lib, memoryLimit);
    this.kernels = kernelsOf(lib, kernels);
    const name = `${instructionNames[isa]}, ${threads} thread${threads === 1 ? "" : "s"}`;
    const sets = [...usableSets(lib).keys()].map((set) => instructionNames[set]).join(", ");
    this.info = {
      kind: "cpu",
      name,
      software: true,
      memoryLimit,
      details: { "instruction sets": sets, threads, "memory available": memoryLimit },
    };
  }

  tensor(spec: TensorSpec): Tensor {
    return this.tensors.allocate(spec);
  }

  map(spec: TensorSpec, file: number, offset: number): Mapped | undefined {
    return this.tensors.map(spec, file, offset);
  }

  view(tensor: Tensor, start: number, shape: readonly number[]): Tensor {
    const whole = owned(tensor);
    if (whole.layout === "matrix" || start < 0 || start + elements(shape) > whole.count) {
      throw new Error(`${whole.label}: no view of ${shape.join("×")} from element ${start} on`);
    }
    const address = whole.address + start * storageBytes[whole.type];
    return new CpuTensor({ label: whole.label, shape, type: whole.type }, address);
  }

  flat(tensor: Tensor): Tensor {
    const whole = owned(tensor);
    const shape = [heldBytes(whole) / storageBytes[whole.type]];
    return new CpuTensor({ label: whole.label, shape, type: whole.type }, whole.address);
  }

  upload(tensor: Tensor, bytes: Uint8Array, at = 0): void {
    this.idle();
    this.tensors.write(owned(tensor), bytes, at);
  }

  async download(tensor: Tensor): Promise<Uint8Array> {
    this.idle();
    return this.tensors.read(owned(tensor));
  }

  free(tensor: Tensor): void {
    this.idle();
    this.tensors.free(owned(tensor));
  }

  program(label: string, steps: readonly Step[]): Program {
    return new CpuProgram(label, steps, this.lib, this.kernels);
  }

  async run(
    program: Program,
    values: Record<string, number> = {},
    options: { read?: readonly Tensor[]; signal?: AbortSignal } = {},
  ): Promise<Uint8Array[]> {
    await this.perform(program, values, options.signal);
    return (options.read ?? []).map((tensor) => this.tensors.read(owned(tensor)));
  }

  async time(program: Program, values: Record<string, number> = {}, repeats = 1): Promise<Float64Array> {
    const runs: Float64Array[] = [];
    for (let i = 0; i < repeats; i++) runs.push((await this.perform(program, values)).seconds());
    return Float64Array.from(
      program.steps,
      (_, step) => runs.map((run) => run[step]!).sort((a, b) => a - b)[repeats >> 1]!,
    );
  }

  get memory(): number {
    return this.tensors.used;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.running) this.lib.lola_cancel(this.pool);
    while (!this.lib.lola_work(this.pool, sliceMilliseconds * 1000));
    this.lib.lola_close(this.pool);
    this.tensors.freeAll();
  }

  /** Runs the steps; this thread works along, and lets the event loop turn now and then. */
  private async perform(program: Program, values: Record<string, number>, signal?: AbortSignal): Promise<CpuProgram> {
    this.idle();
    if (!(program instanceof CpuProgram)) throw new Error(`${program.label} was made by another device`);
    signal?.throwIfAborted();
    program.assign(values);
    const refused = this.lib.lola_start(this.pool, program.address, program.steps.length);
    if (refused === -2) throw new LolaError("device", `no scratch memory to run ${program.label}`, "a shorter prompt");
    if (refused >= 0) throw new Error(program.refusal(refused));
    this.running = program;
    try {
      while (!this.lib.lola_work(this.pool, sliceMilliseconds * 1000)) {
        await this.turn();
        if (this.closed) throw new LolaError("device", `the device was closed while it ran ${program.label}`);
        if (signal?.aborted) this.lib.lola_cancel(this.pool);
      }
    } finally {
      this.running = undefined;
    }
    // Short runs one after the other would otherwise keep timers and signals waiting for ever.
    if (performance.now() - this.lastTurn > sliceMilliseconds) await this.turn();
    signal?.throwIfAborted();
    return program;
  }

  private async turn(): Promise<void> {
    await new Promise((done) => setImmediate(done));
    this.lastTurn = performance.now();
  }

  /** Memory must not change under a run. */
  private idle(): void {
    if (this.closed) throw new Error("the device is closed");
    if (this.running) throw new Error(`${this.running.label} is still running`);
  }
}

function owned(tensor: Tensor): CpuTensor {
  if (tensor instanceof CpuTensor && tensor.address !== 0) return tensor;
  throw new Error(`${tensor.label} is no live tensor of this device`);
}

/**
 * The set asked for, that of bf16, or the fastest of the others that the system permits.
 * @throws LolaError "device" naming what is missing for the matrix unit
 */
function chosenSet(lib: Library, { isa, precision }: CpuOptions, usable: Iterable<InstructionSet>): InstructionSet {
  const asked = isa ?? (precision === "bf16" ? "amx" : undefined);
  if (!asked) return [...usable].filter((set) => set !== "amx" && !permit(lib, set)).at(-1)!;
  const missing = permit(lib, asked);
  if (missing)
    throw new LolaError(
      "device",
      `no products in ${asked === "amx" ? "bf16" : "int8"} here: ${missing}`,
      "--precision f32",
    );
  return asked;
}

/**
 * Opens the CPU engine.
 * @throws LolaError "device" when the kernels are not built, the processor lacks the instruction set or bf16, or threads
 * cannot start
 */
export function openCpu(options: CpuOptions = {}): CpuDevice {
  const lib = library();
  const usable = usableSets(lib);
  const isa = chosenSet(lib, options, usable.keys());
  const kernels = usable.get(isa);
  if (!kernels)
    throw new LolaError("device", `this processor or build has no ${instructionNames[isa]}`, "--device cpu");
  const threads = options.threads ?? availableParallelism();
  const pool = pointer(lib.lola_open(kernels, threads));
  if (!pool) throw new LolaError("device", `cannot start ${threads} threads`, "--threads 1");
  return new CpuDevice(lib, pool, kernels, isa, threads, options.memoryLimit ?? process.availableMemory());
}
