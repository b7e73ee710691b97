/** How fast whole training steps are: forward, backward and AdamW, on random tokens. */
import { philox } from "../base/random.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device } from "../device/device.ts";
import { initialWeights } from "../model/init.ts";
import type { TrainingShape } from "../model/training-buffers.ts";
import { type MicroBatch, TrainingEngine } from "./engine.ts";
import type { Recipe } from "./optimizer.ts";

/** Medians over the steps. */
export interface TrainingSpeed {
  /** Tokens of one step. */
  tokens: number;
  /** Wall time, and user + system time of the whole process. */
  seconds: number;
  cpuSeconds: number;
  tokensPerSecond: number;
  tokensPerCpuSecond: number;
  /** Useful operations a step, a second and a CPU-second. */
  flops: number;
  flopsPerSecond: number;
  flopsPerCpuSecond: number;
  /** Of all tensors, and the most that the process held, in bytes. */
  planned: number;
  peak: number;
}

/**
 * Useful operations of one step: 6 for each weight that a token is multiplied by, the output's among them and one expert of
 * each mixture, and three times the attention over whole squares. What is computed again or for other experts counts nothing.
 */
export function stepFlops(config: ModelConfig, batch: number, time: number): number {
  const { width, layers, inner, experts, vocabulary } = config;
  const layer = 4 * width * width + 2 * width * inner;
  const weights = layers * layer + moeLayers(config).length * experts * width + vocabulary * width;
  const attention = 4 * layers * batch * time * time * width;
  return 6 * weights * batch * time + 3 * attention;
}

const recipe: Recipe = {
  optimizer: "adamw",
  ...{ tokens: 1e9, rate: 1e-4, finalRate: 1e-4, warmup: 0, decay: 1e9 },
  ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1, balance: 0.01 },
};

/**
 * Times steps of a model with random weights; the first warms up and is not counted.
 * @throws LolaError "device" when it does not fit
 */
export async function measureTraining(
  device: Device,
  config: ModelConfig,
  shape: TrainingShape,
  steps: number,
  onStep?: (done: number) => void,
): Promise<TrainingSpeed> {
  const engine = new TrainingEngine(device, config, recipe, shape, 1n);
  engine.load("weights", initialWeights(config, 1n, 0.02));
  const taken: { seconds: number; cpuSeconds: number }[] = [];
  for (let step = 0; step <= steps; step++) {
    const batch = randomBatch(shape.batch * shape.time, config.vocabulary, step);
    const cpu = process.cpuUsage();
    const start = performance.now();
    await engine.step([batch], step + 1, recipe.rate);
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    if (step > 0) taken.push({ seconds, cpuSeconds: (user + system) / 1e6 });
    onStep?.(step);
  }
  const tokens = shape.batch * shape.time;
  const flops = stepFlops(config, shape.batch, shape.time);
  const seconds = median(taken.map((t) => t.seconds));
  const cpuSeconds = median(taken.map((t) => t.cpuSeconds));
  return {
    ...{ tokens, seconds, cpuSeconds, flops },
    tokensPerSecond: tokens / seconds,
    tokensPerCpuSecond: tokens / cpuSeconds,
    flopsPerSecond: flops / seconds,
    flopsPerCpuSecond: flops / cpuSeconds,
    planned: device.memory,
    peak: 1024 * process.resourceUsage().maxRSS,
  };
}

function randomBatch(rows: number, vocabulary: number, step: number): MicroBatch {
  const draw = (stream: number) =>
    Uint32Array.from({ length: rows }, (_, i) => philox([step, stream], [i, 0, 0, 0])[0] % vocabulary);
  return { inputs: draw(0), targets: draw(1) };
}

/** The middle one, as the peer that this is compared with takes it: the upper of two. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
