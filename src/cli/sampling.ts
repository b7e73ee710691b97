/** How tokens are drawn: the flags, and what they come to. */
import { randomBytes } from "node:crypto";
import { LolaError } from "../base/errors.ts";
import type { Sampling } from "../model/session.ts";
import type { Context } from "./context.ts";
import type { Flags, Values } from "./table.ts";

export const samplingFlags = {
  temperature: {
    type: "float",
    value: "T",
    default: 0.8,
    min: 0,
    max: 100,
    doc: "below 1 more likely, above 1 more varied, 0 as --greedy",
    category: "Sampling",
    setting: true,
  },
  topK: {
    type: "integer",
    value: "K",
    default: 0,
    min: 0,
    doc: "choose among the K best tokens; 0 is off",
    category: "Sampling",
    setting: true,
  },
  topP: {
    type: "float",
    value: "P",
    default: 0.95,
    min: 0,
    max: 1,
    doc: "choose among the best with this share of probability; 1 is off",
    category: "Sampling",
    setting: true,
  },
  minP: {
    type: "float",
    value: "P",
    default: 0,
    min: 0,
    max: 1,
    doc: "leave out tokens below this share of the best one's probability; 0 is off",
    category: "Sampling",
    setting: true,
  },
  repetitionPenalty: {
    type: "float",
    value: "R",
    default: 1,
    min: 0.01,
    max: 100,
    doc: "above 1: tokens that were there before become less likely; 1 is off",
    category: "Sampling",
    setting: true,
  },
  seed: {
    type: "seed",
    value: "SEED",
    doc: "64-bit number; same seed, device and program: same text (default: chosen and told)",
    category: "Sampling",
    setting: true,
  },
  greedy: { type: "flag", doc: "always take the best token", category: "Sampling" },
} as const satisfies Flags;

/**
 * How tokens are drawn; a seed is chosen where none was given.
 * @throws LolaError "usage" where flags contradict each other
 */
export function samplingOf({ flags, origins }: Context<Values<typeof samplingFlags>>): Sampling {
  const { topK, topP, minP, repetitionPenalty, greedy, seed } = flags;
  if (greedy && origins.get("temperature") === "command line" && flags.temperature > 0)
    throw new LolaError(
      "usage",
      `--greedy and --temperature ${flags.temperature} contradict each other`,
      "one of them",
    );
  const temperature = greedy ? 0 : flags.temperature;
  return { temperature, topK, topP, minP, repetitionPenalty, seed: seed ?? randomBytes(8).readBigUInt64LE() };
}
