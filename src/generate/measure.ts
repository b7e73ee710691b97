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
  /** Bytes and operations a second, from the kernels' own account of their work. */
  bandwidth: number;
  flops: number;
  /** Time at the roof ÷ time taken; above 1 when the data came from a cache. */
  roofFraction?: number;
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

/** Positions that `measureModels` and `timeKernels` need in the cache. */
export function positionsFor({ prompt, tokens, rounds }: Workload): number {
  return prompt + Math.max(tokens, rounds) + 2;
}

/** The same ids each time, spread over the vocabulary. */
export function benchPrompt(count: number, vocabulary: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => Math.imul(i + 1, 2654435761) >>> 0).map((x) => x % vocabulary);
}

/**
 * Prefill and decode of each model in turns; round 0 warms up and is not counted.
 * @param sessions of equal vocabulary
 * @param begin told of each round
 */
export async function measureModels(
  sessions: readonly Session[],
  vocabulary: number,
  work: Workload,
  roof: Roof | undefined,
  begin?: (round: number) => void,
): Promise<ModelSpeed[]> {
  const ids = benchPrompt(work.prompt, vocabulary);
  const samples = sessions.map(() => ({ prefill: [] as Sample[], decode: [] as Sample[] }));
  for (let round = 0; round <= work.rounds; round++) {
    begin?.(round);
    for (const [i, session] of sessions.entries()) {
      session.rewind(0);
      const first = await sample(() => session.feed(ids, greedy));
      const rest = await sample(async () => {
        for (let i = 0; i < work.tokens; i++) await session.next();
      });
      if (round === 0) continue;
      samples[i]!.prefill.push(first);
      samples[i]!.decode.push(rest);
    }
  }
  return sessions.map((session, i) => {
    const { prefill, decode } = samples[i]!;
    const { prompt, tokens } = workOf(session, work, roof);
    return { prefill: speed(work.prompt, prefill, prompt), decode: speed(work.tokens, decode, tokens) };
  });
}

/** What a prompt, chunk by chunk, and the tokens after it take. */
function workOf(session: Session, work: Workload, roof: Roof | undefined): { prompt: Account; tokens: Account } {
  const { programs } = session;
  const last = work.prompt % session.chunk || session.chunk;
  const chunks = repeated(account(session, programs.fill, session.chunk, roof), (work.prompt - last) / session.chunk);
  return {
    prompt: plus(chunks, account(session, programs.prompt, last, roof)),
    tokens: repeated(account(session, programs.decode, 1, roof), work.tokens),
  };
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

/** Work done: bytes moved, operations, and the seconds that both would take at the roof. */
interface Account {
  bytes: number;
  flops: number;
  atRoof: number | undefined;
}

const plus = (a: Account, b: Account): Account => ({
  bytes: a.bytes + b.bytes,
  flops: a.flops + b.flops,
  atRoof: a.atRoof === undefined || b.atRoof === undefined ? undefined : a.atRoof + b.atRoof,
});

const repeated = ({ bytes, flops, atRoof }: Account, times: number): Account => ({
  bytes: bytes * times,
  flops: flops * times,
  atRoof: atRoof === undefined ? undefined : atRoof * times,
});

const none: Account = { bytes: 0, flops: 0, atRoof: 0 };

function stepAccount(step: Step, values: Record<string, number>, roof: Roof | undefined): Account {
  const { bytes, flops } = step.kernel.cost(resolve(step, values), weightBytes(step));
  return { bytes, flops, atRoof: roof && Math.max(bytes / roof.bandwidth, flops / roof.flops) };
}

/**
 * The steps of a program, where those over the parts of a split matrix are one: a row meets one expert, whatever part it lies
 * in, so their work is not the sum of what each would do alone.
 */
function undivided(steps: readonly Step[]): Step[] {
  const whole: Step[] = [];
  for (const step of steps) {
    const before = whole.at(-1);
    const end = before && Number(before.params.first) + Number(before.params.count);
    if (before?.kernel === step.kernel && step.params.first === end) {
      const count = Number(before.params.count) + Number(step.params.count);
      whole[whole.length - 1] = { ...before, params: { ...before.params, count } };
    } else whole.push(step);
  }
  return whole;
}

/** The work of one run over `rows` rows. */
function account(session: Session, program: Program, rows: number, roof: Roof | undefined): Account {
  const values = session.benchValues(rows);
  return undivided(program.steps).reduce((sum, step) => plus(sum, stepAccount(step, values, roof)), none);
}

/** How fast work was done that took so long. */
function rates({ bytes, flops, atRoof }: Account, seconds: number) {
  const rate = { bandwidth: bytes / seconds, flops: flops / seconds };
  return atRoof === undefined ? rate : { ...rate, roofFraction: atRoof / seconds };
}

function speed(tokens: number, samples: readonly Sample[], work: Account): Speed {
  const seconds = median(samples.map((s) => s.seconds));
  const cpuSeconds = median(samples.map((s) => s.cpuSeconds));
  const each = { tokensPerSecond: tokens / seconds, tokensPerCpuSecond: tokens / cpuSeconds };
  return { tokens, seconds, cpuSeconds, ...each, ...rates(work, seconds) };
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
  /** As in `Speed`. */
  bandwidth: number;
  flops: number;
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
  const groups = new Map<string, { steps: number; seconds: number; work: Account }>();
  const groupOf = ({ kernel, params: { inner, cols } }: Step) => {
    const name = cols === undefined ? kernel.name : `${kernel.name} ${inner}×${cols}`;
    const group = groups.get(name) ?? { steps: 0, seconds: 0, work: none };
    groups.set(name, group);
    return group;
  };
  for (const [i, step] of program.steps.entries()) {
    const group = groupOf(step);
    group.steps++;
    group.seconds += seconds[i]!;
  }
  for (const step of undivided(program.steps)) {
    const group = groupOf(step);
    group.work = plus(group.work, stepAccount(step, values, roof));
  }
  return Array.from(groups, ([kernel, { steps, seconds, work }]) => ({
    kernel,
    steps,
    seconds,
    ...rates(work, seconds),
  })).sort((a, b) => b.seconds - a.seconds);
}

/** Bytes of one weight of a step. */
function weightBytes(step: Step): number {
  for (const [name, { type }] of Object.entries(step.kernel.bindings)) {
    if (type === "matrix" || type === "table") return storageBytes[step.bindings[name]!.type];
  }
  return 4;
}
