/** Generates the samples of one `lola generate` and writes them as text or events, or gathers them for JSON. */
import type { AdapterShare } from "../checkpoint/adapter-file.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Device } from "../device/device.ts";
import type { FinishReason, GenerateResult, TokenEvent } from "../generate/generate.ts";
import type { MemoryPlan } from "../model/memory.ts";
import type { Sampling } from "../model/session.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { adaptersJson } from "./adapters.ts";
import type { Context } from "./context.ts";
import { knownIdentity, type Loaded } from "./model.ts";
import { type OffloadJson, offloadJson, showOffload } from "./offload.ts";
import { toJson } from "./streams.ts";

/** A token as --json and --jsonl tell it. */
interface TokenJson {
  id: number;
  /** What the token stands for by itself; a piece of a character shows as U+FFFD. */
  token: string;
  logprob: number;
  /** Expert of each MoE layer for the token that was fed to draw this one. */
  experts: number[];
  top?: { id: number; token: string; logprob: number }[];
}

interface SampleJson {
  index: number;
  text: string;
  ids: number[];
  finishReason: FinishReason;
  /** Sum over the tokens, natural logarithm. */
  logprob: number;
  logprobs?: TokenJson[];
}

/** The object that `lola generate --json` prints, its keys in snake_case. */
export interface Generation {
  model: { name: string; identity: string | null };
  adapters: { name: string; strength: number }[];
  device: { kind: string; name: string };
  memory: MemoryPlan;
  prompt: { tokens: number; ids: number[] };
  seed: bigint | null;
  sampling: Record<string, number>;
  samples: SampleJson[];
  /** Null where all experts are on the device. */
  offload: OffloadJson | null;
  timings: Record<string, number>;
}

export interface OutputFlags {
  echo: boolean;
  maxTokens: number;
  stop: string[];
  samples: number;
  logprobs: number;
  jsonl: boolean;
  stream: boolean;
}

/** Runs all samples. @returns what --json prints; undefined where the text or the events have been written instead */
export async function generateSamples(
  context: Context<OutputFlags>,
  loaded: Loaded,
  adapters: readonly AdapterShare[],
  prompt: number[],
  sampling: Sampling,
): Promise<Generation | undefined> {
  const { device, source, tokenizer } = loaded.model;
  const { flags, json, notes, out } = context;
  const { generate } = await import("../generate/generate.ts");
  const signal = context.cancellation();
  const session = loaded.model.session(loaded.options);
  const head = { ...describe(source, device, loaded.plan, prompt, sampling), adapters: adaptersJson(adapters) };
  const event = (name: string, fields: object) => out.line(toJson({ event: name, ...fields }));
  if (flags.jsonl) event("start", head);
  const samples: SampleJson[] = [];
  const totals = { tokens: 0, prefill: 0, decode: 0 };

  for (let index = 0; index < flags.samples; index++) {
    const { maxTokens, stop, logprobs } = flags;
    const request = { prompt, maxTokens, sampling, stop, logprobs, stream: index, signal };
    const run = generate(session, tokenizer, request);
    const writer = json || flags.jsonl ? undefined : new TextWriter(context, index, flags.stream);
    if (flags.echo) writer?.write(tokenizer.decode(prompt));
    const tokens: TokenJson[] = [];
    let logprob = 0;
    let step = await run.next();
    for (; !step.done; step = await run.next()) {
      const told = toTokenJson(step.value, tokenizer);
      logprob += told.logprob;
      if (flags.jsonl) event("token", { sample: index, text: step.value.text, ...told });
      else if (json && logprobs > 0) tokens.push(told);
      writer?.write(step.value.text);
    }
    const result: GenerateResult = step.value;
    totals.tokens += result.ids.length;
    totals.prefill += result.seconds.prefill;
    totals.decode += result.seconds.decode;
    const text = flags.echo ? tokenizer.decode(prompt) + result.text : result.text;
    const { ids, finishReason } = result;
    const sample = { index, text, ids, finishReason, logprob, ...(logprobs > 0 ? { logprobs: tokens } : {}) };
    if (json) samples.push(sample);
    else if (flags.jsonl) event("sample", { sample: index, finishReason, tokens: ids.length, logprob });
    else writer?.end();
  }

  const timings = {
    loadSeconds: loaded.seconds,
    prefillSeconds: totals.prefill,
    decodeSeconds: totals.decode,
    tokens: totals.tokens,
    tokensPerSecond: totals.decode > 0 ? (totals.tokens - flags.samples) / totals.decode : 0,
  };
  const { pool } = loaded.model.weights;
  const offload = pool ? offloadJson(pool) : null;
  if (json) return { ...head, samples, offload, timings };
  if (flags.jsonl) event("end", { samples: flags.samples, offload, timings });
  else notes.tell(`${totals.tokens} tokens, ${timings.tokensPerSecond.toFixed(1)} a second`);
  if (pool && !flags.jsonl) notes.tell(showOffload(pool));
  return undefined;
}

function describe(
  source: ModelSource,
  device: Device,
  memory: MemoryPlan,
  prompt: number[],
  sampling: Sampling,
): Omit<Generation, "adapters" | "samples" | "offload" | "timings"> {
  const { kind, name } = device.info;
  const { temperature, topK, topP, minP, repetitionPenalty } = sampling;
  return {
    model: { name: source.label, identity: knownIdentity(source) ?? null },
    device: { kind, name },
    memory,
    prompt: { tokens: prompt.length, ids: prompt },
    seed: temperature > 0 ? sampling.seed : null,
    sampling: { temperature, topK, topP, minP, repetitionPenalty },
  };
}

function toTokenJson(event: TokenEvent, tokenizer: Tokenizer): TokenJson {
  const decode = (id: number) => tokenizer.decode([id]);
  const { id, logprob, top } = event;
  return {
    id,
    token: decode(id),
    logprob,
    experts: [...event.experts],
    ...(top && { top: top.map((t) => ({ id: t.id, token: decode(t.id), logprob: t.logprob })) }),
  };
}

/** Writes one sample as text: as it comes or whole, with a line end at the end and an empty line before the next. */
class TextWriter {
  private held = "";
  private last = "";

  constructor(
    private readonly context: Context<OutputFlags>,
    private readonly index: number,
    private readonly streaming: boolean,
  ) {}

  write(text: string): void {
    if (text === "") return;
    if (this.last === "" && this.index > 0) this.emit("\n");
    this.last = text;
    this.emit(text);
  }

  end(): void {
    if (!this.last.endsWith("\n")) this.emit("\n");
    if (this.held !== "") this.context.out.model(this.held);
  }

  private emit(text: string): void {
    if (this.streaming) this.context.out.model(text);
    else this.held += text;
  }
}
