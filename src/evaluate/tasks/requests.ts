/** Requests as tokens, cut where the harness cuts them. */
import { DataError } from "../../base/errors.ts";
import type { ModelConfig } from "../../checkpoint/config.ts";
import type { Scored } from "../../model/likelihood.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { Request } from "./prompts.ts";

/**
 * A request's tokens, the continuation's as targets: context and continuation are encoded together, blanks at the context's
 * end with the continuation; an empty context is the token `bos` (spec §9.11); too long a context loses its beginning.
 * @param context positions that the model has
 * @throws DataError "task.long" for a continuation of more tokens than that
 */
export function encodeRequest(
  tokenizer: Tokenizer,
  { bos, vocabulary }: ModelConfig,
  context: number,
  request: Request,
): Scored {
  const before = request.context.trimEnd();
  const whole = tokenizer.encode(request.context + request.continuation);
  const length = before === "" ? 0 : tokenizer.encode(before).length;
  const continuation = whole.subarray(length);
  if (continuation.length > context) {
    const says = `a continuation of ${continuation.length} tokens; the model reads ${context}`;
    throw new DataError("task.long", says, "shorter choices, or another model");
  }
  const ids = Uint32Array.of(...(length === 0 ? [bos] : []), ...whole).slice(-(context + 1));
  const targets = ids.slice(1);
  targets.fill(vocabulary, 0, targets.length - continuation.length);
  return { tokens: ids.slice(0, -1), targets };
}
