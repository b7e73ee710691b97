/** Examples → pieces of text that are encoded by themselves, as prompts and answers are in generation. */
import { DataError } from "../base/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Example, Turn } from "./example.ts";
import { fill, type Template } from "./template.ts";

export interface Segment {
  text: string;
  /** Is it learnt? */
  counts: boolean;
  /** The end-of-text token follows, learnt as the text is. */
  ends: boolean;
}

/**
 * The segments of an example: prompts, which count where `trainOnPrompt` says so, and answers and texts, which always do.
 * @throws DataError (template.keys) where the template has no strings for this kind
 */
export function segmentsOf(example: Example, template: Template, trainOnPrompt: boolean): Segment[] {
  switch (example.kind) {
    case "text":
      return [answer(example.text)];
    case "completion":
      return [{ text: example.prompt, counts: trainOnPrompt, ends: false }, answer(example.completion)];
    case "alpaca": {
      const { plain, input } = template.instructions ?? missing(template, "instructions");
      const { instruction } = example;
      const alone = example.input.trim() === "";
      const text = alone ? fill(plain, { instruction }) : fill(input, { instruction, input: example.input });
      return [{ text, counts: trainOnPrompt, ends: false }, answer(example.output)];
    }
    default:
      return chatSegments(example.turns, template, trainOnPrompt);
  }
}

/**
 * A conversation, as it is learnt and as it is continued: behind a user's turn at its end, the answer is to follow.
 * @throws DataError (template.keys) where the template has no strings for conversations
 */
export function chatSegments(turns: readonly Turn[], template: Template, trainOnPrompt = false): Segment[] {
  const chat = template.chat ?? missing(template, "chat");
  const segments: Segment[] = [];
  let before = turns[0]?.role === "system" ? "" : chat.opening;
  for (const { role, content } of turns) {
    if (role === "assistant") segments.push(answer(content));
    else if (role === "system") before = fill(chat.system, { system: content });
    else {
      segments.push({ text: before + fill(chat.turn, { user: content }), counts: trainOnPrompt, ends: false });
      before = "";
    }
  }
  return segments;
}

/** Ids of one segment without an end; names of special tokens in it are text like any other. */
export function encodeSegment(tokenizer: Tokenizer, { text }: Segment): Uint32Array {
  return tokenizer.encode(text, { specials: false });
}

/** Ids of segments, the end-of-text token where they say. */
export function encodeSegments(tokenizer: Tokenizer, eos: number, segments: readonly Segment[]): number[] {
  return segments.flatMap((segment) => [...encodeSegment(tokenizer, segment), ...(segment.ends ? [eos] : [])]);
}

function answer(text: string): Segment {
  return { text, counts: true, ends: true };
}

function missing(template: Template, part: "instructions" | "chat"): never {
  const what = part === "chat" ? "conversations" : "Alpaca instructions";
  const says = `template "${template.name}" has no "${part}", which ${what} need`;
  throw new DataError("template.keys", says, "the built-in template, without --template");
}
