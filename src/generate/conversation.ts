/** A conversation with a model: turns in, answers out, the oldest forgotten where the context is full. */
import { LolaError } from "../base/errors.ts";
import type { Turn } from "../data/example.ts";
import { chatSegments, encodeSegment } from "../data/segments.ts";
import type { Template } from "../data/template.ts";
import type { Sampling, Session } from "../model/session.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type FinishReason, type GenerateResult, generate } from "./generate.ts";

export interface AnswerOptions {
  maxTokens: number;
  sampling: Sampling;
  /** Ends the answer where it is: what was said so far stays said; where that is nothing, the turn was none. */
  signal?: AbortSignal;
}

export interface Answer {
  text: string;
  finishReason: FinishReason | "interrupted";
  /** Drawn. */
  tokens: number;
  promptTokens: number;
  /** Earlier turns of the user that fell out of the context before this answer. */
  forgotten: number;
}

/** What was said, and the answer's tokens as the model drew them: re-encoded text might be others, and not in the cache. */
interface Exchange {
  user: string;
  answer: string;
  ids: readonly number[];
}

/** Shorter beginnings of turns may stand in any text. */
const leastStop = 3;

export class Conversation {
  private exchanges: Exchange[] = [];
  /** How many of the exchanges are out of the model's sight. */
  private forgotten = 0;
  private readonly stop: readonly string[];

  /**
   * @param session its cache holds what the turns have in common
   * @param system what the conversation stands under
   * @throws DataError "template.keys" for a template that is not for conversations
   */
  constructor(
    private readonly session: Session,
    private readonly tokenizer: Tokenizer,
    private readonly template: Template,
    private readonly system?: string,
  ) {
    chatSegments([], template);
    // A model that goes on with the user's next turn has ended its own.
    const begins = template.chat!.turn.split("{user}")[0]!.trim();
    this.stop = begins.length >= leastStop ? [begins] : [];
  }

  /** All turns so far, those too that the model no longer sees. */
  get turns(): Turn[] {
    return this.turnsOf(this.exchanges);
  }

  /** Begins anew. */
  reset(): void {
    this.exchanges = [];
    this.forgotten = 0;
  }

  /**
   * Answers one turn of the user; text comes as it is drawn, the whole is the generator's return value.
   * @throws LolaError "usage" where the turn alone is longer than the context; then nothing was said
   */
  async *say(user: string, { maxTokens, sampling, signal }: AnswerOptions): AsyncGenerator<string, Answer> {
    const { prompt, forgotten } = this.fit(user, maxTokens);
    const { session, tokenizer, stop } = this;
    const cached = Math.min(session.shared(prompt), prompt.length - 1);
    const stream = this.exchanges.length;
    const run = generate(session, tokenizer, { prompt, maxTokens, sampling, stop, stream, ...(signal && { signal }) });
    let text = "";
    const ids: number[] = [];
    let result: GenerateResult | undefined;
    try {
      let step = await run.next();
      for (; !step.done; step = await run.next()) {
        ids.push(step.value.id);
        text += step.value.text;
        if (step.value.text !== "") yield step.value.text;
      }
      result = step.value;
    } catch (error) {
      if (!signal?.aborted) throw error;
      // What was on its way into the cache may not have arrived.
      session.rewind(ids.length === 0 ? cached : prompt.length + ids.length - 1);
    }
    const finishReason = result?.finishReason ?? "interrupted";
    if (finishReason === "stop") text = text.trimEnd();
    this.forgotten += forgotten;
    const kept = this.kept(text, ids, finishReason);
    if (finishReason !== "interrupted" || ids.length > 0) this.exchanges.push({ user, answer: text, ids: kept });
    return { text, finishReason, tokens: ids.length, promptTokens: prompt.length, forgotten };
  }

  /** The tokens that stand for an answer from now on, without an end. */
  private kept(text: string, ids: readonly number[], reason: Answer["finishReason"]): readonly number[] {
    if (reason === "stop") return [...encodeSegment(this.tokenizer, { text, counts: true, ends: true })];
    return reason === "eos" ? ids.slice(0, -1) : ids;
  }

  /** The prompt of a turn, behind as much of what was said as leaves room for the answer: at most half of the context. */
  private fit(user: string, maxTokens: number): { prompt: number[]; forgotten: number } {
    const { context } = this.session;
    const most = context - Math.max(1, Math.min(maxTokens, Math.floor(context / 2)));
    const seen = this.exchanges.slice(this.forgotten);
    for (let forgotten = 0; ; forgotten++) {
      const prompt = this.prompt(seen.slice(forgotten), user);
      if (prompt.length <= most) return { prompt, forgotten };
      if (forgotten < seen.length) continue;
      if (prompt.length < context) return { prompt, forgotten };
      throw new LolaError(
        "usage",
        `this turn has ${prompt.length} tokens with what stands around it, the context holds ${context}`,
        "say it in several turns",
      );
    }
  }

  private prompt(seen: readonly Exchange[], user: string): number[] {
    const turns: Turn[] = [...this.turnsOf(seen), { role: "user", content: user }];
    const answers = seen.values();
    return chatSegments(turns, this.template).flatMap((segment) =>
      segment.ends
        ? [...answers.next().value!.ids, this.session.config.eos]
        : [...encodeSegment(this.tokenizer, segment)],
    );
  }

  private turnsOf(exchanges: readonly Exchange[]): Turn[] {
    const system: Turn[] = this.system === undefined ? [] : [{ role: "system", content: this.system }];
    return [
      ...system,
      ...exchanges.flatMap(({ user, answer }): Turn[] => [
        { role: "user", content: user },
        { role: "assistant", content: answer },
      ]),
    ];
  }
}
