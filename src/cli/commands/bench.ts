/** `lola bench`: what this machine can do at most, and how near to that a model comes. */
import { cpus } from "node:os";
import { LolaError } from "../../base/errors.ts";
import { version } from "../../base/version.ts";
import type { Roof } from "../../device/cpu/roof.ts";
import type { KernelTime, ModelSpeed } from "../../generate/measure.ts";
import { presetNames } from "../../model/presets.ts";
import type { EncodeSpeed } from "../../tokenizer/bench.ts";
import type { TrainingSpeed } from "../../train/measure.ts";
import { benchFormats, type FormatSpeed, formatTables } from "../bench-formats.ts";
import { type MadeModel, makeModel } from "../bench-make.ts";
import { benchModel, processorRoof } from "../bench-model.ts";
import { benchTraining } from "../bench-train.ts";
import type { Context } from "../context.ts";
import { cacheFlag, engineFlags, modelFlag, precisionFlag } from "../flags.ts";
import { readInput } from "../input.ts";
import { openNamed } from "../model.ts";
import { bytes, grouped, type Style, table } from "../style.ts";
import { defineCommand, type Values } from "../table.ts";

const count = (doc: string) => ({ type: "integer", value: "N", min: 1, doc, category: "Making a model" }) as const;

const flags = {
  ...modelFlag,
  shape: {
    type: "text",
    value: "SHAPE",
    doc: "a random model: width-layers-heads-inner-vocabulary-experts, as 512-8-8-2048-8192-8",
    category: "Model and engine",
  },
  type: {
    type: "choice",
    value: "TYPE",
    choices: ["f32", "f16", "bf16", "q8", "q4"],
    default: "f32",
    doc: "weights of the random model",
    category: "Model and engine",
  },
  ...engineFlags,
  ...cacheFlag,
  preset: {
    type: "choice",
    value: "PRESET",
    choices: presetNames,
    doc: "bench train, make-model: a random model of this preset",
    category: "Training",
  },
  steps: { type: "integer", value: "N", default: 5, min: 1, doc: "steps to time", category: "Training" },
  batch: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "sequences of a step (default: 16, or the preset's micro-batch)",
    category: "Training",
  },
  context: {
    type: "integer",
    value: "N",
    min: 1,
    doc: "tokens of a sequence (default: 256, or the preset's)",
    category: "Training",
  },
  vocabulary: { type: "integer", value: "N", min: 8, doc: "instead of the shape's", category: "Training" },
  precision: { ...precisionFlag.precision, category: "Training" },
  recompute: { type: "flag", doc: "keep only each layer's input", category: "Training" },
  output: {
    type: "text",
    value: "FILE",
    short: "o",
    doc: "file to write; with --to hf, folder to make",
    category: "Making a model",
    complete: "file",
  },
  to: {
    type: "choice",
    value: "FORMAT",
    choices: ["lola", "hf"],
    default: "lola",
    doc: "one .lola file, or the published layout",
    category: "Making a model",
  },
  width: count("channels"),
  layers: count("layers; every second one is a mixture"),
  heads: count("attention heads (default: of 64 channels, where the width is given)"),
  inner: count("channels inside an expert (default: 4 × width, where that is given)"),
  experts: count("experts of a mixture"),
  force: { type: "flag", doc: "replace the file if it exists", category: "Making a model" },
  prompt: { type: "integer", value: "N", default: 128, min: 1, doc: "tokens of the prompt", category: "Work" },
  tokens: { type: "integer", value: "N", short: "n", default: 32, min: 1, doc: "tokens to generate", category: "Work" },
  rounds: { type: "integer", value: "N", default: 5, min: 1, doc: "repetitions; medians are told", category: "Work" },
  file: {
    type: "text",
    value: "FILE",
    short: "f",
    doc: "text for bench tokenizer; else stdin",
    category: "Work",
    complete: "file",
  },
} as const;

export type BenchFlags = Values<typeof flags>;
export type BenchContext = Context<
  BenchFlags,
  "all" | "formats" | "generate" | "kernels" | "machine" | "tokenizer" | "train" | "make-model"
>;

export interface BenchResult {
  version: string;
  processor: string;
  device?: { kind: string; name: string };
  model?: { name: string; memoryBytes?: number };
  /** Of the processor; there is none for a hardware GPU. */
  roof?: Roof;
  speed?: ModelSpeed;
  /** Of one random model, on each engine that was measured. */
  formats?: FormatSpeed[];
  /** Seconds spent compiling shaders, apart from everything else. */
  compileSeconds?: number;
  /** Steps of one decoded token: dispatches, on a GPU. */
  stepsPerToken?: number;
  kernels?: { prefill: KernelTime[]; decode: KernelTime[] };
  tokenizer?: EncodeSpeed;
  training?: TrainingSpeed;
  made?: MadeModel;
}

export const bench = defineCommand({
  name: "bench",
  summary: "measures this machine and how fast a model runs on it",
  examples: [
    { line: "lola bench", doc: "all of it, with the built-in model" },
    {
      line: "lola bench generate --shape 512-8-8-2048-8192-8 --device cpu --threads 2",
      doc: "a random model of that shape",
    },
    { line: "lola bench formats --device cpu", doc: "what quantizing gains, in layers of LOLA's size" },
    { line: "lola bench kernels matmul --prompt 512", doc: "each kernel against the machine's roof" },
    { line: "lola bench train --preset mini --threads 2", doc: "whole training steps" },
    { line: "lola bench make-model --preset small --type q4 -o random.lola", doc: "a model that has learnt nothing" },
    { line: "lola bench tokenizer -m lola_v1 -f text.txt", doc: "how fast text becomes tokens" },
  ],
  actions: {
    all: "machine, generate and kernels",
    formats: "one random model in f32, f16, q8 and q4, side by side",
    generate: "tokens a second, and a second of processor time, of prefill and decode",
    kernels: "bandwidth and operations a second of each kernel, and the share of the roof",
    machine: "memory bandwidth and multiply-add peak of the processor",
    tokenizer: "megabytes of text a second that become tokens",
    train: "useful operations of whole training steps: forward, backward, AdamW",
    "make-model": "a model of random weights, of any size",
  },
  usual: "all",
  args: [{ name: "kernel", doc: "part of a kernel's name: only these (bench kernels)" }],
  flags,
  notes: [
    "Prefill and decode take turns; the first round warms up and is not counted. Compiling shaders and loading are left out and told apart. Processor time is user and system time of the whole process.",
    "The roof is the time that a step's bytes would take at the measured memory bandwidth, or its operations at the measured peak, whichever is longer. More than 100 % means that data came from a cache.",
    "bench formats takes --shape (default: 2048-2-16-8192-8192-16, two of LOLA's layers) and holds the model in all formats at once, so that they take turns: the default needs 5 GB. With --device auto it measures the processor beside a GPU.",
    "bench train counts 6 operations for each weight that a token meets, the output's and one expert of each mixture among them, and three times the attention over whole squares; the first step is not counted.",
    "bench make-model writes weights uniform in ±0.03, the same each time, stored raw, with a tokenizer of bytes and words without meaning. Its sizes are those of --preset (default: nano) or --shape, but for those given one by one.",
  ],
  async run(context): Promise<BenchResult> {
    const { action, args } = context;
    if (args.length > 0 && action !== "kernels" && action !== "all") {
      throw new LolaError("usage", `lola bench ${action} takes no argument`, `lola bench kernels ${args[0]}`);
    }
    const base = { version, processor: cpus()[0]?.model ?? "unknown" };
    switch (action) {
      case "all":
      case "generate":
      case "kernels":
        return { ...base, ...(await benchModel(context)) };
      case "formats":
        return { ...base, ...(await benchFormats(context)) };
      case "machine":
        return { ...base, ...(await benchMachine(context.flags)) };
      case "tokenizer":
        return { ...base, ...(await benchTokenizer(context)) };
      case "train":
        return { ...base, ...(await benchTraining(context)) };
      case "make-model":
        return { ...base, ...(await makeModel(context)) };
    }
  },
  show: showBench,
});

/** The processor's roof, with as many threads as asked for. */
async function benchMachine({ device: kind, threads }: BenchFlags): Promise<Partial<BenchResult>> {
  if (kind !== "auto" && kind !== "cpu") {
    throw new LolaError("usage", `lola bench machine measures the processor, not --device ${kind}`, "--device cpu");
  }
  const { openCpu } = await import("../../device/cpu/cpu.ts");
  const device = openCpu(threads ? { threads } : {});
  try {
    const { kind: engine, name } = device.info;
    return { device: { kind: engine, name }, roof: await processorRoof(device) };
  } finally {
    device.close();
  }
}

async function benchTokenizer({ flags: { model, file, rounds }, notes }: BenchContext): Promise<Partial<BenchResult>> {
  const text = await readInput([], file, notes);
  if (!text) throw new LolaError("usage", "no text to encode", "lola bench tokenizer -f FILE");
  const source = await openNamed(model, notes);
  const { tokenizerOf } = await import("../../model/open.ts");
  const { benchmarkEncode } = await import("../../tokenizer/bench.ts");
  const tokenizer = tokenizerOf(source);
  source.close();
  return { model: { name: source.label }, tokenizer: benchmarkEncode(tokenizer, text, Math.max(2, rounds)) };
}

const giga = (count: number) => Number((count / 1e9).toPrecision(3));
const percent = (share: number) => `${(100 * share).toFixed(0)} %`;

function showBench(result: BenchResult, style: Style): string {
  const { device, model, roof, speed, kernels, tokenizer, training } = result;
  const facts: [string, string][] = [["processor", result.processor]];
  if (device) facts.push(["device", `${device.kind}: ${device.name}`]);
  if (model) facts.push(["model", model.name]);
  if (result.made) {
    const { path, bytes: size, parameters } = result.made;
    facts.push(["parameters", grouped(parameters)], ["written", `${path}, ${bytes(size)}`]);
  }
  if (model?.memoryBytes) facts.push(["memory of the device", bytes(model.memoryBytes)]);
  if (roof) facts.push(["roof", `${giga(roof.bandwidth)} GB/s, ${giga(roof.flops)} GFLOP/s (measured, processor)`]);
  if (result.compileSeconds) facts.push(["compiling shaders", `${result.compileSeconds.toFixed(2)} s`]);
  if (result.stepsPerToken) facts.push(["steps of a token", String(result.stepsPerToken)]);
  const parts = [table(facts)];
  if (speed) {
    const row = (name: string, s: ModelSpeed["prefill"]) => [
      name,
      s.tokens,
      Number(s.tokensPerSecond.toFixed(1)),
      Number(s.tokensPerCpuSecond.toFixed(1)),
      giga(s.bandwidth),
      giga(s.flops),
      s.roofFraction === undefined ? "" : percent(s.roofFraction),
    ];
    parts.push(
      table([
        ["", "tokens", "per second", "per CPU-second", "GB/s", "GFLOP/s", "of roof"],
        row("prefill", speed.prefill),
        row("decode", speed.decode),
      ]),
    );
  }
  if (result.formats) parts.push(...formatTables(result.formats));
  if (kernels) parts.push(...kernelTables(kernels, style));
  if (tokenizer) {
    const { bytes: size, tokens, first, best } = tokenizer;
    parts.push(`${bytes(size)} → ${tokens} tokens: ${best.toFixed(1)} MB/s, at first ${first.toFixed(1)} MB/s`);
  }
  if (training) parts.push(trainingTable(training));
  return parts.join("\n\n");
}

function trainingTable(t: TrainingSpeed): string {
  const rates = table([
    ["", "a step", "per second", "per CPU-second"],
    ["tokens", t.tokens, Number(t.tokensPerSecond.toFixed(0)), Number(t.tokensPerCpuSecond.toFixed(0))],
    ["useful GFLOP", giga(t.flops), giga(t.flopsPerSecond), giga(t.flopsPerCpuSecond)],
  ]);
  const time = `a step: ${t.seconds.toFixed(3)} s, ${t.cpuSeconds.toFixed(3)} s of processors`;
  return `${rates}\n\n${time}\nmemory: ${bytes(t.planned)} of tensors, ${bytes(t.peak)} at most in the whole process`;
}

function kernelTables(kernels: { prefill: KernelTime[]; decode: KernelTime[] }, style: Style): string[] {
  return Object.entries(kernels).map(([phase, rows]) => {
    const head = [phase, "steps", "ms", "GB/s", "GFLOP/s", "of roof"];
    const body = rows.map((k) => [
      k.kernel,
      k.steps,
      Number((k.seconds * 1000).toPrecision(3)),
      giga(k.bandwidth),
      giga(k.flops),
      k.roofFraction === undefined ? "" : percent(k.roofFraction),
    ]);
    const [first, ...rest] = table([head, ...body]).split("\n");
    return [style.bold(first!), ...rest].join("\n");
  });
}
