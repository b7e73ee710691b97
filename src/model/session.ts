/** One sequence in progress: a KV cache, and the programs that feed it, sample from it and score with it. */
import { LolaError } from "../base/errors.ts";
import { seedWords } from "../base/random.ts";
import { type ModelConfig, moeLayers } from "../checkpoint/config.ts";
import type { Device, Program, Tensor } from "../device/device.ts";
import { type Cache, type CacheType, createCache } from "./cache.ts";
import { type Activations, body, createActivations, draw, head } from "./graph.ts";
import { Offload, type Runner } from "./offload.ts";
import type { Weights } from "./weights.ts";

/** How the next token is drawn; Hugging Face's names and order of filters. */
export interface Sampling {
  /** 0: always the best token. */
  temperature: number;
  /** 0: off. */
  topK: number;
  /** 1: off. */
  topP: number;
  /** 0: off. */
  minP: number;
  /** 1: off. */
  repetitionPenalty: number;
  /** 64 bits. */
  seed: bigint;
}

export const greedy: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0n };

/** A token drawn on the device. */
export interface Drawn {
  id: number;
  /** Natural log of its probability before any filter. */
  logprob: number;
  /** The expert of each MoE layer for the token that was fed to draw this one. */
  experts: Uint32Array;
  /** f32 [V], when asked for. */
  logits?: Float32Array;
}

/** Every position's result of a full pass. */
export interface Scores {
  /** f32 [T, V]. */
  logits: Float32Array;
  /** [MoE layers][T]. */
  experts: Uint32Array[];
  probs: Float32Array[];
}

/** Rows of one prefill run, at most, where nothing else is said. */
export const prefillRows = 512;

export interface SessionOptions {
  /** Positions to keep, at most the model's context. */
  context?: number;
  /** How keys and values are kept; default: f32. */
  cache?: CacheType;
  /** Rows of one prefill run; default: `prefillRows`. */
  chunk?: number;
  /** Ids from here on are never drawn: the tokenizer's size. */
  allowed?: number;
}

export class Session {
  readonly context: number;
  /** Ids in the cache, and the one drawn last, which is not yet in it. */
  private readonly held: number[] = [];
  private last = 0;
  /** Rows of one prefill run, at most. */
  readonly chunk: number;
  private readonly allowed: number;
  /** The device, or what stops between its programs to bring experts. */
  private readonly runner: Runner;
  private readonly cache: Cache;
  private readonly wide: Activations;
  private readonly single: Activations;
  private readonly logits: Tensor;
  private readonly seen: Tensor;
  private readonly logprob: Tensor;
  private readonly fill: Program;
  private readonly prompt: Program;
  private readonly decode: Program;
  private score: { program: Program; logits: Tensor } | undefined;
  private values: Record<string, number> = {};

  constructor(
    readonly device: Device,
    readonly config: ModelConfig,
    readonly weights: Weights,
    options: SessionOptions = {},
  ) {
    this.context = Math.min(options.context ?? config.context, config.context);
    this.chunk = Math.min(options.chunk ?? prefillRows, this.context);
    this.allowed = Math.min(options.allowed ?? config.vocabulary, config.vocabulary);
    this.cache = createCache(device, config, 1, this.context, options.cache);
    this.runner = weights.pool ? new Offload(device, weights.pool) : device;
    this.wide = createActivations(device, config, this.chunk, weights);
    this.single = createActivations(device, config, 1, weights);
    this.logits = device.tensor({ label: "logits", shape: [1, config.vocabulary], type: "f32" });
    this.seen = device.tensor({ label: "seen", shape: [1, config.vocabulary], type: "u32" });
    this.logprob = device.tensor({ label: "logprob", shape: [1], type: "f32" });
    const out = { logits: this.logits, seen: this.seen, logprob: this.logprob };
    const wide = body(config, weights, this.cache, this.wide, "rows");
    const maxima = { rows: this.chunk, last: this.chunk - 1 };
    const filters = { allowed: this.allowed, ...samplingValues(greedy, 0) };
    this.fill = this.runner.program("fill", wide, maxima);
    this.prompt = this.runner.program(
      "prompt",
      [...wide, ...head(config, weights, this.wide, this.logits, 1, "last"), draw(config, out, this.single, 1)],
      { ...maxima, ...filters },
    );
    this.decode = this.runner.program(
      "decode",
      [
        ...body(config, weights, this.cache, this.single, 1),
        ...head(config, weights, this.single, this.logits, 1, 0),
        draw(config, out, this.single, 1),
      ],
      filters,
    );
  }

  /** Steps of one decoded token: dispatches, on a GPU. */
  get stepsPerToken(): number {
    return this.decode.steps.length;
  }

  /** The programs, for benches: a chunk of a prompt, its last chunk, one token after it. */
  get programs(): { fill: Program; prompt: Program; decode: Program } {
    return { fill: this.fill, prompt: this.prompt, decode: this.decode };
  }

  /** The values of the variables of `programs` for a prompt of `rows` tokens. */
  benchValues(rows: number): Record<string, number> {
    return { rows, last: rows - 1, allowed: this.allowed, ...samplingValues(greedy, 0) };
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.held.length;
  }

  /** Forgets all but the first `length` tokens. */
  rewind(length = 0): void {
    this.held.length = Math.min(this.held.length, length);
  }

  /** How many of the first of `ids` are in the cache as they are. */
  shared(ids: ArrayLike<number>): number {
    let n = 0;
    while (n < ids.length && n < this.held.length && ids[n] === this.held[n]) n++;
    return n;
  }

  /**
   * Feeds a prompt after what is cached, and draws the token that follows.
   * @param ids at least one
   * @param stream which of several independent draws from the same seed
   * @throws LolaError "usage" when the context has no room for them and the drawn token
   */
  async feed(ids: ArrayLike<number>, sampling: Sampling, options: FeedOptions = {}): Promise<Drawn> {
    if (ids.length === 0) throw new Error("feed needs at least one token");
    this.check(ids, 1);
    this.values = { allowed: this.allowed, ...samplingValues(sampling, options.stream ?? 0) };
    this.markSeen(options.penalised ?? ids);
    for (let from = 0; from < ids.length; from += this.chunk) {
      const rows = Math.min(this.chunk, ids.length - from);
      this.input(ids, from, rows);
      const values = { ...this.values, rows, last: rows - 1 };
      if (from + rows < ids.length) {
        await this.runner.run(this.fill, values, signalOf(options));
        continue;
      }
      // The drawn token's position, less one: the draw itself adds it.
      upload(this.device, this.single.pos, [this.length - 1]);
      return this.drawn(this.prompt, values, this.wide, rows - 1, options);
    }
    throw new Error("unreachable");
  }

  /** Feeds the token drawn last, and draws the one after it, with the sampling given to `feed`. */
  async next(options: { logits?: boolean; signal?: AbortSignal } = {}): Promise<Drawn> {
    if (this.length >= this.context) throw full(this.context, 1, this.length);
    this.held.push(this.last);
    return this.drawn(this.decode, this.values, this.single, 0, options);
  }

  /**
   * Logits and routing at every position, fed after what is cached.
   */
  async scores(ids: ArrayLike<number>, signal?: AbortSignal): Promise<Scores> {
    this.check(ids, 0);
    const { vocabulary } = this.config;
    const layers = moeLayers(this.config).length;
    this.score ??= this.scoreProgram();
    const result: Scores = {
      logits: new Float32Array(ids.length * vocabulary),
      experts: Array.from({ length: layers }, () => new Uint32Array(ids.length)),
      probs: Array.from({ length: layers }, () => new Float32Array(ids.length)),
    };
    const { program, logits } = this.score;
    const step = logits.shape[0]!;
    for (let from = 0; from < ids.length; from += step) {
      const rows = Math.min(step, ids.length - from);
      this.input(ids, from, rows);
      const read = [logits, this.wide.expert, this.wide.prob];
      const [z, e, p] = await this.runner.run(program, { rows }, { read, ...(signal && { signal }) });
      result.logits.set(floats(z!).subarray(0, rows * vocabulary), from * vocabulary);
      for (let j = 0; j < layers; j++) {
        const at = j * this.wide.capacity;
        result.experts[j]!.set(words(e!).subarray(at, at + rows), from);
        result.probs[j]!.set(floats(p!).subarray(at, at + rows), from);
      }
    }
    return result;
  }

  private scoreProgram() {
    // Logits of a chunk stay within 64 MiB, whatever the vocabulary.
    const rows = Math.max(1, Math.min(this.chunk, Math.floor(2 ** 24 / this.config.vocabulary)));
    const logits = this.device.tensor({ label: "all logits", shape: [rows, this.config.vocabulary], type: "f32" });
    const steps = [
      ...body(this.config, this.weights, this.cache, this.wide, "rows"),
      ...head(this.config, this.weights, this.wide, logits, "rows", 0),
    ];
    return { program: this.runner.program("score", steps, { rows }), logits };
  }

  /** @param room tokens that must still fit after `ids` */
  private check(ids: ArrayLike<number>, room: number): void {
    if (this.length + ids.length + room > this.context) throw full(this.context, ids.length, this.length);
    for (let i = 0; i < ids.length; i++)
      if (!(ids[i]! >= 0 && ids[i]! < this.config.vocabulary))
        throw new LolaError("usage", `token id ${ids[i]} is outside the vocabulary of ${this.config.vocabulary}`);
  }

  /** Uploads the tokens of the next `rows` rows and their positions, and counts them as held. */
  private input(ids: ArrayLike<number>, from: number, rows: number): void {
    const tokens = Array.from({ length: rows }, (_, t) => ids[from + t]!);
    upload(this.device, this.wide.token, tokens);
    upload(
      this.device,
      this.wide.pos,
      tokens.map((_, t) => this.length + t),
    );
    this.held.push(...tokens);
  }

  private markSeen(ids: ArrayLike<number>): void {
    const seen = new Uint32Array(this.config.vocabulary);
    for (let i = 0; i < ids.length; i++) seen[ids[i]!] = 1;
    this.device.upload(this.seen, new Uint8Array(seen.buffer));
  }

  private async drawn(
    program: Program,
    values: Record<string, number>,
    fed: Activations,
    row: number,
    options: { logits?: boolean; signal?: AbortSignal },
  ): Promise<Drawn> {
    const read = [this.single.token, this.logprob, fed.expert, ...(options.logits ? [this.logits] : [])];
    const [token, logprob, experts, logits] = await this.runner.run(program, values, { read, ...signalOf(options) });
    const log = floats(logprob!)[0]!;
    if (!Number.isFinite(log))
      throw new LolaError(
        "device",
        `the model's output at position ${this.length - 1} is not finite`,
        "lola models verify MODEL; lola doctor; another --device",
      );
    this.last = words(token!)[0]!;
    return {
      id: this.last,
      logprob: log,
      experts: Uint32Array.from(moeLayers(this.config), (_, j) => words(experts!)[j * fed.capacity + row]!),
      ...(logits && { logits: floats(logits) }),
    };
  }
}

export interface FeedOptions {
  stream?: number;
  /** Ids that the repetition penalty counts as seen; default: the ids fed. */
  penalised?: ArrayLike<number>;
  /** Return the logits that the token was drawn from. */
  logits?: boolean;
  signal?: AbortSignal;
}

function samplingValues(s: Sampling, stream: number): Record<string, number> {
  const [seed_low, seed_high] = seedWords(s.seed);
  return {
    temperature: s.temperature,
    top_k: s.topK,
    top_p: s.topP,
    min_p: s.minP,
    penalty: s.repetitionPenalty,
    seed_low,
    seed_high,
    stream,
  };
}

function full(context: number, more: number, held: number): LolaError {
  return new LolaError(
    "usage",
    `${more} tokens do not fit: the context is ${context} tokens and ${held} are in it`,
    "a shorter prompt, or --truncate head|tail",
  );
}

const signalOf = (options: { signal?: AbortSignal }) => (options.signal ? { signal: options.signal } : {});
const words = (bytes: Uint8Array) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const upload = (device: Device, tensor: Tensor, values: ArrayLike<number>) =>
  device.upload(tensor, new Uint8Array(Uint32Array.from(values).buffer));
