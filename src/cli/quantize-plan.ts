/** From the flags of `lola quantize` to the type of each tensor. */
import { LolaError } from "../base/errors.ts";
import { weightKinds } from "../checkpoint/quantized.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Calibration } from "../quantize/calibrate.ts";
import { type Group, type Plan, planFor, planForBudget, presetChoice, type QuantChoice } from "../quantize/plan.ts";
import type { QuantizeContext, QuantizeFlags } from "./quantize-flags.ts";

/** What --type means, with the kinds that have a type of their own. */
export function presetPlan(source: ModelSource, flags: QuantizeFlags): Plan {
  const group = Number(flags.group) as Group;
  const own: Partial<QuantChoice> = {};
  for (const kind of weightKinds) {
    const type = flags[kind];
    if (type !== undefined) own[kind] = type === "q8" || type === "q4" ? `${type}_${group}` : type;
  }
  return planFor(source, presetChoice(flags.type, group, own));
}

/**
 * Which tensor gets which type.
 * @throws LolaError "usage" where flags contradict each other, or nothing fits the budget
 */
export function chosenPlan(
  source: ModelSource,
  { flags, origins }: Pick<QuantizeContext, "flags" | "origins">,
  { seen, routing }: Partial<Calibration> = {},
): Plan {
  const group = Number(flags.group) as Group;
  if (flags.budget !== undefined) {
    const own = (["type", ...weightKinds] as const).find((name) => origins.get(name) === "command line");
    if (own) throw new LolaError("usage", `--budget chooses the types itself, --${own} says otherwise`, "one of them");
    return planForBudget(source, flags.budget, { group, ...(seen && { seen }), ...(routing && { routing }) });
  }
  return presetPlan(source, flags);
}
