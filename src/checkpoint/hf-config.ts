/** The published layout's config.json ↔ ModelConfig (spec §1.1); settings that would change the mathematics are refused. */
import { DataError } from "../base/errors.ts";
import type { FloatType } from "../base/float.ts";
import { type ModelConfig, validateConfig } from "./config.ts";

export interface ReadConfig {
  config: ModelConfig;
  /** Whether a stored `lm_head.weight` must equal the embedding: only `tie_word_embeddings: false` makes it count. */
  tied: boolean;
  /** What was mended. */
  notes: string[];
}

/** Our name ↔ the layout's; each has the aliases of transformers' attribute_map. */
const sizeNames = {
  vocabulary: ["vocab_size"],
  context: ["n_positions", "max_position_embeddings"],
  width: ["n_embd", "hidden_size"],
  layers: ["n_layer", "num_hidden_layers"],
  heads: ["n_head", "num_attention_heads"],
  experts: ["num_experts"],
} as const;

/** Settings with one value that this graph computes; absent means that value, except for the activation. */
const fixed: readonly [name: string, value: unknown, why: string][] = [
  ["topk", 1, "each token passes one expert"],
  ["scale_attn_weights", true, "scores are divided by the root of the head size"],
  ["scale_attn_by_inverse_layer_idx", false, "scores are not divided by the layer"],
  ["add_cross_attention", false, "there is no encoder"],
  ["quantization_config", undefined, "weights must be F32, F16 or BF16"],
];

/** Special ids of the released tokenizer (spec §2.1). */
const released = { bos: 0, pad: 1, eos: 5 } as const;

/**
 * @param json the parsed config.json
 * @param tokens how many ids the tokenizer has: special ids beyond are mended to the released ones
 * @throws DataError "config.…" naming the setting, its value and what is expected
 */
export function fromHfConfig(json: unknown, tokens: number, label: string): ReadConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new DataError("config.json", `${label} is no JSON object`);
  const settings = json as Record<string, unknown>;
  const refuse = (name: string, why: string, hint?: string) =>
    new DataError(
      `config.${name}`,
      `${label}: ${name} is ${String(JSON.stringify(settings[name])).slice(0, 60)}, ${why}`,
      hint,
    );

  if (settings.model_type !== "lola_v1")
    throw refuse("model_type", 'only "lola_v1" can be read', "a model of the LOLA family");
  if (settings.activation_function !== "gelu_fast") throw refuse("activation_function", 'only "gelu_fast" is computed');
  for (const [name, value, why] of fixed) {
    if ((settings[name] ?? value) !== value) throw refuse(name, `only ${value ?? "none"} is supported: ${why}`);
  }
  const size = (names: readonly string[]): number => {
    const given = names.filter((name) => (settings[name] ?? undefined) !== undefined);
    if (given.length === 0) throw new DataError(`config.${names[0]}`, `${label}: ${names[0]} is missing`);
    const odd = given.find((name) => settings[name] !== settings[given[0]!]);
    if (odd) throw refuse(odd, `but ${given[0]} is ${settings[given[0]!]}`);
    return settings[given[0]!] as number;
  };
  const sizes = Object.fromEntries(Object.entries(sizeNames).map(([ours, theirs]) => [ours, size(theirs)])) as Record<
    keyof typeof sizeNames,
    number
  >;
  if (tokens > sizes.vocabulary) throw refuse("vocab_size", `but the tokenizer has ${tokens} tokens`);

  const notes: string[] = [];
  const special = (role: keyof typeof released): number => {
    const name = `${role}_token_id`;
    const id = settings[name] ?? released[role];
    if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < tokens) return id;
    if (typeof id !== "number" || id < tokens || released[role] >= tokens)
      throw refuse(name, `the tokenizer has ${tokens} tokens`);
    notes.push(`${name} ${id} is beyond the tokenizer's ${tokens} tokens; mended to ${released[role]}`);
    return released[role];
  };
  const config = validateConfig({
    family: "lola_v1",
    ...sizes,
    inner: settings.n_inner ?? 4 * sizes.width,
    normEpsilon: settings.layer_norm_epsilon ?? 1e-5,
    bos: special("bos"),
    eos: special("eos"),
    pad: special("pad"),
  });
  return { config, tied: settings.tie_word_embeddings !== false, notes };
}

const torchNames: Record<FloatType, string> = { f32: "float32", f16: "float16", bf16: "bfloat16" };

/** The published layout's config.json of a model whose weights are mostly of `type`. */
export function toHfConfig(config: ModelConfig, type: FloatType): Record<string, unknown> {
  return {
    activation_function: "gelu_fast",
    architectures: ["LOLALMHeadModel"],
    auto_map: {
      // The code stays in the published repository; "--" names it.
      AutoConfig: "dice-research/lola_v1--configuration_lola_gpt2.LOLAConfig",
      AutoModelForCausalLM: "dice-research/lola_v1--modeling_lola_gpt2.LOLALMHeadModel",
    },
    bos_token_id: config.bos,
    eos_token_id: config.eos,
    pad_token_id: config.pad,
    layer_norm_epsilon: config.normEpsilon,
    model_type: config.family,
    n_embd: config.width,
    n_head: config.heads,
    n_inner: config.inner,
    n_layer: config.layers,
    n_positions: config.context,
    num_experts: config.experts,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    topk: 1,
    torch_dtype: torchNames[type],
    vocab_size: config.vocabulary,
  };
}
