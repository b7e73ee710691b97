/** Does a merged model say what its base says with the adapters at run time? Asked on fixed prompts, token by token. */
import { LolaError } from "../base/errors.ts";
import type { FloatType } from "../base/float.ts";
import { isQuantType } from "../base/quant.ts";
import type { Model } from "../model/open.ts";
import type { Session } from "../model/session.ts";

/** Texts of several scripts and kinds, so that many experts see some of it. */
const prompts = [
  "All human beings are born free and equal in dignity and rights.",
  "Below is an instruction that describes a task.\n\n### Instruction:\nTranslate: good morning",
  "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.",
  "Все люди рождаются свободными и равными.",
  "يولد جميع الناس أحرارا متساوين",
  "人人生而自由,在尊严和权利上一律平等。",
  "सभी मनुष्यों को गौरव और अधिकारों के मामले में",
  "for (let i = 0; i < 10; i++) { total += 3 * i; }",
];
/** Tokens of a prompt that are looked at. */
const longest = 16;

/** What a base with adapters makes of the prompts. */
export interface Expected {
  readings: Reading[];
  /** The most that the adapters move a logit. */
  effect: number;
}

interface Reading {
  /** f32 [T, V]. */
  logits: Float32Array;
  /** [MoE layers][T]. */
  experts: Uint32Array[];
}

export interface MergeCheck {
  tokens: number;
  /** Tokens until whose place both sent all to the same experts; logits of others are not comparable. */
  compared: number;
  /** The most that a logit differs. */
  gap: number;
  effect: number;
  /** Places where the likeliest token differs, as one of two that are equal but for rounding. */
  ties: number;
}

/** @param plain the base; @param adapted the same with adapters, on the same device */
export async function readAdapted(plain: Model, adapted: Model): Promise<Expected> {
  const [before, after] = [sessionOf(plain), sessionOf(adapted)];
  const readings: Reading[] = [];
  let effect = 0;
  for (const ids of encoded(plain)) {
    const reading = await read(after, ids);
    effect = Math.max(effect, largestGap((await read(before, ids)).logits, reading.logits));
    readings.push(reading);
  }
  return { readings, effect };
}

/**
 * Holds a merged model against what was read before.
 * @param type what its changed matrices are stored in
 * @throws LolaError "failed" where its likeliest token is another beyond ties, or the most of what the adapters do is not there
 */
export async function checkMerged(merged: Model, { readings, effect }: Expected, type: FloatType): Promise<MergeCheck> {
  const session = sessionOf(merged);
  const { vocabulary } = merged.config;
  const tolerance = toleranceOf(merged, type);
  const check: MergeCheck = { tokens: 0, compared: 0, gap: 0, effect, ties: 0 };
  for (const [i, ids] of encoded(merged).entries()) {
    const [found, expected] = [await read(session, ids), readings[i]!];
    const same = sameRouting(found, expected, ids.length);
    check.tokens += ids.length;
    check.compared += same;
    for (let t = 0; t < same; t++) {
      const [is, was] = [found, expected].map(({ logits }) => logits.subarray(t * vocabulary, (t + 1) * vocabulary));
      check.gap = Math.max(check.gap, largestGap(is!, was!));
      const [best, other] = [largest(was!), largest(is!)];
      if (best === other) continue;
      check.ties++;
      const margin = was![best]! - was![other]!;
      if (!(margin <= tolerance * (was![best]! - Math.min(...was!))))
        throw refused(
          `behind token ${t + 1} of prompt ${i + 1} the likeliest token is ${other}, with the adapters at run time ${best}`,
          type,
        );
    }
  }
  if (4 * check.compared < check.tokens)
    throw refused(`only ${check.compared} of ${check.tokens} tokens pass the same experts`, type);
  if (effect > 0 && !(2 * check.gap < effect))
    throw refused(
      `its logits differ by up to ${check.gap.toPrecision(3)} from those with the adapters at run time, which move them by ${effect.toPrecision(3)}`,
      type,
    );
  return check;
}

function refused(what: string, type: FloatType): LolaError {
  const hint = type === "f32" ? "lola doctor; another --device" : "--dtype f32: less is rounded away";
  return new LolaError("failed", `the merged model is not what it should be: ${what}`, hint);
}

/** Share of the range of a place's logits within which two of them count as equal. */
function toleranceOf({ source }: Model, type: FloatType): number {
  const stored = { f32: 1e-4, f16: 1e-2, bf16: 8e-2 }[type];
  // Where matrices that did not change are quantized, engines round rows on their way into them.
  const quantized = Array.from(source.tensors.values()).some((tensor) => isQuantType(tensor.type));
  return quantized ? Math.max(stored, 2e-2) : stored;
}

function sessionOf(model: Model): Session {
  return model.session({ context: longest, chunk: longest });
}

function encoded({ tokenizer, config }: Model): number[][] {
  const length = Math.min(longest, config.context);
  return prompts.map((text) => [config.eos, ...tokenizer.encode(text)].slice(0, length));
}

async function read(session: Session, ids: number[]): Promise<Reading> {
  session.rewind();
  return session.scores(ids);
}

/** How many places from the first on went to the same experts in all layers. */
function sameRouting(a: Reading, b: Reading, length: number): number {
  let t = 0;
  while (t < length && a.experts.every((layer, j) => layer[t] === b.experts[j]![t])) t++;
  return t;
}

function largestGap(a: Float32Array, b: Float32Array): number {
  let gap = 0;
  for (let i = 0; i < a.length; i++) gap = Math.max(gap, Math.abs(a[i]! - b[i]!));
  return gap;
}

function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
