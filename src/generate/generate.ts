/** Text from a prompt: feeds it, draws tokens until something ends the text, and streams whole characters. */
import type { Drawn, Sampling, Session } from "../model/session.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { StopFilter } from "./stop.ts";

export interface GenerateRequest {
  /** Token ids; empty starts a new document, after the end-of-text token as in training (spec §2.3). */
  prompt: ArrayLike<number>;
  maxTokens: number;
  sampling: Sampling;
  /** The text ends before the first of these. */
  stop?: readonly string[];
  /** How many of the best alternatives to tell with each token. */
  logprobs?: number;
  /** Which of several independent samples from the same seed. */
  stream?: number;
  signal?: AbortSignal;
}

export interface TokenEvent {
  id: number;
  /** Whole characters that this token made certain; what may be part of a stop string or of a character comes later. */
  text: string;
  /** Natural log of the probability before any filter. */
  logprob: number;
  /** The expert of each MoE layer for the token fed to draw this one. */
  experts: Uint32Array;
  /** The best tokens before any filter, best first. */
  top?: { id: number; logprob: number }[];
}

/** eos: the model ended the text; stop: a stop string; length: maxTokens; context: no room for more. */
export type FinishReason = "eos" | "stop" | "length" | "context";

export interface GenerateResult {
  finishReason: FinishReason;
  /** All the text, without the prompt and without the stop string. */
  text: string;
  /** Every token drawn, the end-of-text token too. */
  ids: number[];
  promptTokens: number;
  seconds: { prefill: number; decode: number };
}

/**
 * Generates one continuation; events come as tokens are drawn, the result is the generator's return value.
 * The prompt stays in the session's cache, so a second call with the same prompt is cheap.
 * @throws LolaError "usage" when the prompt leaves no room in the context
 */
export async function* generate(
  session: Session,
  tokenizer: Tokenizer,
  request: GenerateRequest,
): AsyncGenerator<TokenEvent, GenerateResult> {
  const { maxTokens, sampling, stop = [], logprobs = 0, stream = 0 } = request;
  const { eos } = session.config;
  const prompt = request.prompt.length > 0 ? request.prompt : [eos];
  const options = { logits: logprobs > 0, ...(request.signal && { signal: request.signal }) };
  const decoder = tokenizer.stream();
  const stops = new StopFilter(stop);
  const ids: number[] = [];
  let text = "";
  let finishReason: FinishReason | undefined = maxTokens === 0 ? "length" : undefined;

  const started = performance.now();
  let prefilled = started;
  while (finishReason === undefined) {
    let drawn: Drawn;
    if (ids.length > 0) drawn = await session.next(options);
    else {
      // The last token is fed again even when it is cached: it is what the first draw needs.
      const kept = Math.min(session.shared(prompt), prompt.length - 1);
      session.rewind(kept);
      const rest = Array.prototype.slice.call(prompt, kept);
      drawn = await session.feed(rest, sampling, { ...options, stream, penalised: prompt });
      prefilled = performance.now();
    }
    ids.push(drawn.id);
    let fresh = drawn.id === eos ? "" : stops.push(decoder.push(drawn.id));
    if (stops.found !== undefined) finishReason = "stop";
    else if (drawn.id === eos) finishReason = "eos";
    else if (ids.length >= maxTokens) finishReason = "length";
    else if (prompt.length + ids.length >= session.context) finishReason = "context";
    if (finishReason !== undefined && finishReason !== "stop") {
      fresh += stops.push(decoder.end()) + stops.end();
      if (stops.found !== undefined) finishReason = "stop";
    }
    text += fresh;
    yield {
      id: drawn.id,
      text: fresh,
      logprob: drawn.logprob,
      experts: drawn.experts,
      ...(drawn.logits && { top: best(drawn.logits, logprobs) }),
    };
  }
  return {
    finishReason,
    text,
    ids,
    promptTokens: prompt.length,
    seconds: { prefill: (prefilled - started) / 1000, decode: (performance.now() - prefilled) / 1000 },
  };
}

/** The `count` most probable ids with their log-probabilities, best first, lowest id on ties. */
function best(logits: Float32Array, count: number): { id: number; logprob: number }[] {
  let max = Number.NEGATIVE_INFINITY;
  for (const z of logits) max = Math.max(max, z);
  let total = 0;
  for (const z of logits) total += Math.exp(z - max);
  const normaliser = max + Math.log(total);
  const top: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (top.length === count && logits[id]! <= logits[top.at(-1)!]!) continue;
    const at = top.findIndex((other) => logits[id]! > logits[other]!);
    top.splice(at < 0 ? top.length : at, 0, id);
    top.length = Math.min(top.length, count);
  }
  return top.map((id) => ({ id, logprob: logits[id]! - normaliser }));
}
