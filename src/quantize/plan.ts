/** Which tensor gets which type, and how large the file will be. */
import { LolaError } from "../base/errors.ts";
import { isQuantType, type QuantType } from "../base/quant.ts";
import { version } from "../base/version.ts";
import { inOrder } from "../checkpoint/layout.ts";
import { lolaBytes, type ModelMeta } from "../checkpoint/lola-file.ts";
import type { RoutingProfile } from "../checkpoint/profile.ts";
import { type WeightKind, weightKind, weightKinds } from "../checkpoint/quantized.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { type TensorInfo, type TensorType, tensorBytes } from "../checkpoint/tensor.ts";

/** The type of each kind of matrices; gates are f32, all other tensors keep their own. */
export type QuantChoice = Record<WeightKind, TensorType>;

/** What a preset chooses. */
export interface PresetChoice extends QuantChoice {
  /** In the first layer, where it is another. */
  first: Partial<QuantChoice>;
}

/** The tensors of the new file, in its order. */
export type Plan = readonly TensorInfo[];

export const quantPresets = ["q8", "mixed", "q4"] as const;
export type QuantPreset = (typeof quantPresets)[number];

export type Group = 32 | 64 | 128;

/**
 * `q8`: 8 bits everywhere. `q4`: 4 bits but for the embedding, which every token passes twice, and the first layer, whose errors
 * pass through all others and steer their experts. `mixed`: 4 bits for experts, most of the bytes, each of which few tokens meet.
 * @param group inputs that share a scale
 * @param own types that were chosen for whole kinds
 */
export function presetChoice(preset: QuantPreset, group: Group = 64, own: Partial<QuantChoice> = {}): PresetChoice {
  const [q8, q4]: [QuantType, QuantType] = [`q8_${group}`, `q4_${group}`];
  const rest = preset === "q4" ? q4 : q8;
  const first = preset === "q4" ? { dense: q8, attention: q8, ...own } : own;
  return { experts: preset === "q8" ? q8 : q4, dense: rest, attention: rest, embedding: q8, ...own, first };
}

/** Of a tensor, by name, that is stored as `stored`. */
export function chosenType(choice: PresetChoice, name: string, stored: TensorType): TensorType {
  const kind = weightKind(name);
  if (!kind) return name.endsWith(".gate.weight") ? "f32" : stored;
  return (isFirst(name) && choice.first[kind]) || choice[kind];
}

const isFirst = (name: string) => name.startsWith("h.0.");

/** A plan that gives each tensor the type that was chosen for its kind. */
export function planFor(source: ModelSource, choice: PresetChoice): Plan {
  return inOrder(source).map(({ name, type: stored, shape }) => {
    const type = chosenType(choice, name, stored);
    return { name, type, shape, bytes: tensorBytes(name, type, shape) };
  });
}

/** All but the weights of the new file. @param routing of a calibration; else the model keeps its own */
export function metaOf(source: ModelSource, plan: Plan, routing = source.routing): ModelMeta {
  const { config, tokenizer, provenance, notes, tensors } = source;
  const again = plan.filter(
    ({ name, type }) => isQuantType(tensors.get(name)!.type) && tensors.get(name)!.type !== type,
  );
  const told = [
    ...describePlan(plan),
    ...(again.length > 0
      ? [`${again.length} of them were quantized before, from weights that had lost once already`]
      : []),
  ];
  return {
    config,
    tokenizer,
    provenance: { made: "quantize", from: provenance.from, version, notes: [...provenance.notes, ...notes, ...told] },
    ...(routing && { routing }),
    ...(source.template !== undefined && { template: source.template }),
  };
}

/** One line a kind: "experts as q4_64", or "experts as q4_64 (96) and q8_64 (288)" where types mix. */
export function describePlan(plan: Plan): string[] {
  return weightKinds.flatMap((kind) => {
    const counts = new Map<TensorType, number>();
    for (const { name, type } of plan) if (weightKind(name) === kind) counts.set(type, (counts.get(type) ?? 0) + 1);
    const types = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const named = types.map(([type, count]) => (types.length > 1 ? `${type} (${count})` : type));
    return named.length > 0 ? [`${kind} as ${named.join(" and ")}`] : [];
  });
}

/** Bytes of the new file, exactly with `store: "raw"`, at most otherwise. Reads no weights. */
export function plannedBytes(source: ModelSource, plan: Plan, routing?: RoutingProfile): number {
  return lolaBytes(metaOf(source, plan, routing), plan);
}

export interface BudgetOptions {
  /** Default 64. */
  group?: Group;
  /** Tokens that each expert saw in a calibration, by its name: "h.1.moe.experts.0". */
  seen?: ReadonlyMap<string, number>;
  /** Goes into the file as well. */
  routing?: RoutingProfile;
}

/**
 * The plan that loses least, as far as is known before measuring, of those whose file has at most so many bytes.
 *
 * All matrices begin as q8. Then they become q4, one after the other until the file fits: experts, those first that saw the
 * fewest tokens (without counts: of the last layers first, since an error in an early layer passes through all later ones), then dense,
 * attention, the first layer, and the embedding. Should q4 everywhere be too large, groups of 128 follow in the same order.
 * @throws LolaError "usage" with the smallest size that is possible
 */
export function planForBudget(
  source: ModelSource,
  budget: number,
  { group = 64, seen, routing }: BudgetOptions = {},
): Plan {
  const start = planFor(source, presetChoice("q8", group));
  const rungs: QuantType[] = group === 128 ? ["q4_128"] : [`q4_${group}`, "q4_128"];
  const steps = rungs.flatMap((type) => units(start, seen).map((names) => ({ names, type })));
  const after = (count: number): Plan => {
    const tensors = new Map(start.map((tensor) => [tensor.name, tensor]));
    for (const { names, type } of steps.slice(0, count))
      for (const name of names) {
        const tensor = tensors.get(name)!;
        // Where a group is wider than the matrix, larger groups make it larger.
        const bytes = tensorBytes(name, type, tensor.shape);
        if (bytes < tensor.bytes) tensors.set(name, { ...tensor, type, bytes });
      }
    return [...tensors.values()];
  };
  const smallest = plannedBytes(source, after(steps.length), routing);
  if (smallest > budget)
    throw new LolaError(
      "usage",
      `${source.label} quantized takes ${smallest.toLocaleString("en")} bytes at least, the budget is ${budget.toLocaleString("en")}`,
      `--budget ${Math.ceil(smallest / 2 ** 20)}MiB`,
    );
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (plannedBytes(source, after(middle), routing) <= budget) high = middle;
    else low = middle + 1;
  }
  return after(high);
}

/** Names of the matrices that change type together, in the order in which they do. */
function units(plan: Plan, seen: ReadonlyMap<string, number> = new Map()): string[][] {
  const members = new Map<string, string[]>();
  for (const { name } of plan.toReversed()) {
    if (!weightKind(name)) continue;
    const unit = name.replace(/\.c_\w+\.weight$/, "");
    members.set(unit, [...(members.get(unit) ?? []), name]);
  }
  const rank = ([unit, [name]]: [string, string[]]) => {
    const kind = weightKind(name!)!;
    // The first layer goes between the others and the embedding.
    const at = isFirst(name!) ? weightKinds.length - 1.5 : weightKinds.indexOf(kind);
    return [at, seen.get(unit) ?? 0] as const;
  };
  return [...members]
    .toSorted((a, b) => {
      const [[kindA, seenA], [kindB, seenB]] = [rank(a), rank(b)];
      return kindA - kindB || seenA - seenB;
    })
    .map(([, names]) => names);
}
