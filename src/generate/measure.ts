/** How fast a model runs on a device: whole prompts, single tokens, and each kernel against what the machine can do at most. */
import type { Roof } from "../device/cpu/roof.ts";
import { type Program, resolve, type Step, storageBytes } from "../device/device.ts";
import { greedy, type Session } from "../model/session.ts";

export interface Speed {
  tokens: number;
  /** Median over the rounds; wall time, and user + system time of the whole process. */
  seconds: number;
  cpuSeconds: number;
  tokensPerSecond: number;
  tokensPerCpuSecond: number;
}

export interface ModelSpeed {
  prefill: Speed;
  decode: Speed;
}

export interface Workload {
  /** Tokens of the prompt, and tokens generated after it. */
  prompt: number;
  tokens: number;
  rounds: number;
}

/** Positions that `measureModel` and `timeKernels` need in the cache. */
export function positionsFor({ prompt, tokens, rounds }: Workload): number {
  return prompt + Math.max(tokens, rounds) + 2;
}

/** The same ids each time, spread over the vocabulary. */
export function benchPrompt(count: number, vocabulary: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => Math.imul(i + 1, 2654435761) >>> 0).map((x) => x % vocabulary);
}

/** Prefill and decode in turns; one round beforehand warms up and is not counted. */
export async function measureModel(session: Session, vocabulary: number, work: Workload): Promise<ModelSpeed> {
  const ids = benchPrompt(work.prompt, vocabulary);
  const prefill: Sample[] = [];
  const decode: Sample[] = [];
  for (let round = 0; round <= work.rounds; round++) {
    session.rewind(0);
    const first = await sample(() => session.feed(ids, greedy));
    const rest = await sample(async () => {
      for (let i = 0; i < work.tokens; i++) await session.next();
    });
    if (round === 0) continue;
    prefill.push(first);
    decode.push(rest);
  }
  return { prefill: speed(work.prompt, prefill), decode: speed(work.tokens, decode) };
}

interface Sample {
  seconds: number;
  cpuSeconds: number;
}

async function sample(work: () => Promise<unknown>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

function speed(tokens: number, samples: readonly Sample[]): Speed {
  const seconds = median(samples.map((s) => s.seconds));
  const cpuSeconds = median(samples.map((s) => s.cpuSeconds));
  return { tokens, seconds, cpuSeconds, tokensPerSecond: tokens / seconds, tokensPerCpuSecond: tokens / cpuSeconds };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** All steps of one program that run the same kernel on the same shape of matrix. */
export interface KernelTime {
  /** Kernel, and [inner × columns] of its matrix if it has one. */
  kernel: string;
  steps: number;
  /** Of all those steps together. */
  seconds: number;
  /** Bytes and operations a second, from the kernel's own account of its work. */
  bandwidth: number;
  flops: number;
  /** Time at the roof ÷ time taken; above 1 when the data came from a cache. */
  roofFraction?: number;
}

/** Times each step of a prompt of `work.prompt` tokens and of one decoded token after it. */
export async function timeKernels(
  session: Session,
  vocabulary: number,
  work: Workload,
  roof: Roof | undefined,
): Promise<{ prefill: KernelTime[]; decode: KernelTime[] }> {
  const { prompt, decode } = session.programs;
  session.rewind(0);
  await session.feed(benchPrompt(work.prompt, vocabulary), greedy);
  const decoded = await timeProgram(session, decode, 1, work.rounds, roof);
  const prefilled = await timeProgram(session, prompt, Math.min(work.prompt, session.chunk), work.rounds, roof);
  return { prefill: prefilled, decode: decoded };
}

async function timeProgram(
  session: Session,
  program: Program,
  rows: number,
  repeats: number,
  roof: Roof | undefined,
): Promise<KernelTime[]> {
  const values = session.benchValues(rows);
  const seconds = await session.device.time(program, values, repeats);
  const groups = new Map<string, { steps: number; seconds: number; bytes: number; flops: number; atRoof: number }>();
  for (const [i, step] of program.steps.entries()) {
    const params = resolve(step, values);
    const { bytes, flops } = step.kernel.cost(params, weightBytes(step));
    const name = params.cols ? `${step.kernel.name} ${params.inner}×${params.cols}` : step.kernel.name;
    const group = groups.get(name) ?? { steps: 0, seconds: 0, bytes: 0, flops: 0, atRoof: 0 };
    groups.set(name, group);
    group.steps++;
    group.seconds += seconds[i]!;
    group.bytes += bytes;
    group.flops += flops;
    if (roof) group.atRoof += Math.max(bytes / roof.bandwidth, flops / roof.flops);
  }
  return Array.from(groups, ([kernel, { steps, seconds, bytes, flops, atRoof }]) => ({
    kernel,
    steps,
    seconds,
    bandwidth: bytes / seconds,
    flops: flops / seconds,
    ...(roof && { roofFraction: atRoof / seconds }),
  })).sort((a, b) => b.seconds - a.seconds);
}

/** Bytes of one weight of a step. */
function weightBytes(step: Step): number {
  for (const [name, { type }] of Object.entries(step.kernel.bindings)) {
    if (type === "matrix" || type === "table") return storageBytes[step.bindings[name]!.type];
  }
  return 4;
}
