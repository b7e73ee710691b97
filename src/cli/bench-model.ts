/** The part of `lola bench` that runs a model, stored or random, and times it. */
import { LolaError } from "../base/errors.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { TensorType } from "../checkpoint/tensor.ts";
import type { Roof } from "../device/cpu/roof.ts";
import type { Device } from "../device/device.ts";
import type { Session } from "../model/session.ts";
import type { BenchContext, BenchFlags, BenchResult } from "./commands/bench.ts";
import { openNamed } from "./model.ts";

/** Bytes that are read to measure bandwidth: beyond any cache, within a quarter of the memory. */
const scanBytes = 2 ** 31;

/** Times prefill and decode, each kernel of both, or all of it. */
export async function benchModel(context: BenchContext): Promise<Partial<BenchResult>> {
  const { flags, notes } = context;
  const { openDevice } = await import("../device/choose.ts");
  const { measureModels, timeKernels } = await import("../generate/measure.ts");
  const { device, why } = await openDevice(flags.device, flags.threads ? { threads: flags.threads } : {});
  try {
    notes.tell(why);
    notes.progress("loading");
    const { name, session, vocabulary } = await openSession(device, context);
    const { kind, name: engine } = device.info;
    const result: Partial<BenchResult> = { device: { kind, name: engine }, stepsPerToken: session.stepsPerToken };
    notes.progress("measuring");
    const work = { prompt: flags.prompt, tokens: flags.tokens, rounds: flags.rounds };
    const roof = device.info.software ? await roofFor(device, flags) : undefined;
    if (roof) result.roof = roof;
    if (context.action !== "kernels") {
      const [speed] = await measureModels([session], vocabulary, work, roof);
      result.speed = speed!;
    }
    if (context.action !== "generate") {
      result.kernels = only(await timeKernels(session, vocabulary, work, roof), context.args[0]);
    }
    return { ...result, model: { name, memoryBytes: device.memory }, compileSeconds: device.compileSeconds };
  } finally {
    notes.progress("");
    device.close();
  }
}

/** The processor's roof; of a software GPU that is the same processor. The reference engine is there to be right, not fast. */
export async function roofFor(device: Device, { threads }: BenchFlags): Promise<Roof | undefined> {
  if (device.info.kind === "cpu") return processorRoof(device);
  if (device.info.kind === "reference") return undefined;
  const { openCpu } = await import("../device/cpu/cpu.ts");
  try {
    const processor = openCpu(threads ? { threads } : {});
    const roof = await processorRoof(processor);
    processor.close();
    return roof;
  } catch (error) {
    if (error instanceof LolaError) return undefined;
    throw error;
  }
}

/** @param device a CPU device */
export async function processorRoof(device: Device): Promise<Roof> {
  const { measureRoof } = await import("../device/cpu/roof.ts");
  return measureRoof(device, Math.min(scanBytes, process.availableMemory() / 4));
}

interface Ready {
  name: string;
  session: Session;
  /** Ids that may be fed. */
  vocabulary: number;
}

/**
 * A session with room for the work: of a random model if a shape is given, else of the named one.
 * @throws LolaError "device" before anything is loaded, where it does not fit
 */
async function openSession(device: Device, { flags, notes }: BenchContext): Promise<Ready> {
  const { positionsFor } = await import("../generate/measure.ts");
  const { planMemory } = await import("../model/memory.ts");
  const { checkPlan } = await import("./memory.ts");
  const context = positionsFor(flags);
  const options = { context, cache: flags.cache };
  if (flags.shape !== undefined) {
    if (flags.model !== undefined) throw new LolaError("usage", "--shape and --model are two models", "one of them");
    const { randomWeights } = await import("../model/random.ts");
    const { loadWeights } = await import("../model/weights.ts");
    const { Session } = await import("../model/session.ts");
    const config = parseShape(flags.shape, context);
    const name = `random ${flags.shape}, ${flags.type}`;
    const random = randomWeights(config, await storedTypes(flags.type, "alike"));
    const plan = planMemory(device, { config, ...random }, options);
    checkPlan(device, plan, name, () => "a smaller --shape, or --type q4");
    const weights = loadWeights(device, config, random);
    return { name, session: new Session(device, config, weights, options), vocabulary: config.vocabulary };
  }
  const source = await openNamed(flags.model, notes);
  try {
    if (context > source.config.context) {
      throw new LolaError(
        "usage",
        `${flags.prompt} tokens of prompt and ${flags.tokens} after it need ${context} positions, the model has ${source.config.context}`,
        "--prompt N and --tokens N, smaller",
      );
    }
    const { loadModel } = await import("../model/open.ts");
    const plan = planMemory(device, source, options);
    checkPlan(device, plan, source.label, () => "fewer bits (lola quantize), or --cache f16");
    const model = loadModel(device, source);
    return { name: source.label, session: model.session(options), vocabulary: model.tokenizer.size };
  } finally {
    source.close();
  }
}

/**
 * Of each tensor of a random model, by name: `q8` and `q4` are as `lola quantize` has them, with all else in f32.
 * @param layers whether the first has types of its own, as quantized models have, or those of all others, as is timed
 */
export async function storedTypes(
  type: BenchFlags["type"],
  layers: "as quantized" | "alike",
): Promise<(name: string) => TensorType> {
  if (type !== "q8" && type !== "q4") return () => type;
  const { chosenType, presetChoice } = await import("../quantize/plan.ts");
  const preset = presetChoice(type);
  const choice = layers === "alike" ? { ...preset, first: {} } : preset;
  return (name) => chosenType(choice, name, "f32");
}

/** `width-layers-heads-inner-vocabulary-experts`. @throws LolaError "usage" */
export function parseShape(shape: string, context: number): ModelConfig {
  const numbers = shape.split("-").map((word) => (/^[1-9]\d{0,8}$/.test(word) ? Number(word) : 0));
  const [width, layers, heads, inner, vocabulary, experts] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const hint = "--shape 512-8-8-2048-8192-8";
  if (numbers.length !== 6 || numbers.includes(0)) {
    throw new LolaError("usage", `--shape ${shape}: expected width-layers-heads-inner-vocabulary-experts`, hint);
  }
  if (width % heads !== 0)
    throw new LolaError("usage", `--shape: ${heads} heads do not divide a width of ${width}`, hint);
  const ids = { bos: 0, eos: Math.min(5, vocabulary - 1), pad: Math.min(1, vocabulary - 1) };
  return { family: "lola_v1", vocabulary, context, width, layers, heads, inner, experts, normEpsilon: 1e-5, ...ids };
}

/** Kernels whose name holds `part`. @throws LolaError "usage" if there is none */
function only<T extends { kernel: string }>(phases: { prefill: T[]; decode: T[] }, part: string | undefined) {
  if (part === undefined) return phases;
  const chosen = (rows: T[]) => rows.filter((row) => row.kernel.includes(part));
  const found = { prefill: chosen(phases.prefill), decode: chosen(phases.decode) };
  if (found.prefill.length + found.decode.length > 0) return found;
  const names = [...new Set([...phases.prefill, ...phases.decode].map((row) => row.kernel.split(" ")[0]!))];
  throw new LolaError("usage", `no kernel of this model is named "${part}": ${names.join(", ")}`, "lola bench kernels");
}
