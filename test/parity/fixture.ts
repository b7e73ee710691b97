/** Folders laid out like `shared/fixtures`: a published-layout checkpoint with expected results beside it. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { writeOddFixture } from "./odd.ts";

export interface GreedyCase {
  label: string;
  prompt: number[];
  ids: number[];
  /** Smallest distance between the best and the second logit on the way. */
  gap: number;
}

export interface Encoding {
  text: string;
  ids: number[];
  decoded: string;
}

export interface ScoredText {
  label: string;
  text: string;
  nats: number;
  bytes: number;
  tokens: number;
  bitsPerByte: number;
}

/** What three AdamW steps on one batch did. */
export interface AdamwCase {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weight_decay: number;
  clip: number;
  /** Of each step: cross-entropy and Σ of the balance losses; norm of the whole gradient. */
  losses_ce_aux: [number, number][];
  grad_norms: number[];
}

export interface Fixture {
  name: string;
  folder: string;
  greedy: GreedyCase[];
  encodings: Encoding[];
  /** Texts with the likelihood of their first 257 tokens. */
  texts: ScoredText[];
  /** Weight of the balance loss, and the steps, where the folder has gradients. */
  auxCoefficient?: number;
  adamw?: AdamwCase;
  /** From `expected.safetensors`, when there. */
  tensors: Map<string, { shape: number[]; data: Float32Array | Int32Array }>;
}

/**
 * Folders named by `LOLA_FIXTURES` (comma-separated), else the shared ones and `odd-lola`.
 * @param scratch an empty folder to write `odd-lola` into
 */
export function fixtures(scratch: string): Fixture[] {
  const named = process.env.LOLA_FIXTURES?.split(",").filter(Boolean);
  if (named) return named.map((folder) => readFixture(resolve(folder)));
  const shared = join(import.meta.dir, "../../../shared/fixtures");
  const odd = join(scratch, "odd-lola");
  mkdirSync(odd);
  writeOddFixture(odd);
  return [join(shared, "tiny-lola"), join(shared, "udhr-lola"), odd].map(readFixture);
}

function readFixture(folder: string): Fixture {
  const json = (file: string) => JSON.parse(readFileSync(join(folder, file), "utf8"));
  const expected = json("expected.json");
  const tensors = join(folder, "expected.safetensors");
  return {
    name: basename(folder),
    folder,
    greedy: greedyCases(expected),
    encodings: json("encodings.json"),
    texts: Object.entries<Record<string, number>>(expected.first_257_tokens ?? {}).map(([label, scored]) => ({
      label,
      text: readFileSync(join(folder, "texts", `${label}.txt`), "utf8"),
      nats: scored.nll_nats!,
      bytes: scored.bytes!,
      tokens: scored.tokens!,
      bitsPerByte: scored.bits_per_byte!,
    })),
    ...(expected.adamw && { auxCoefficient: expected.aux_coeff, adamw: expected.adamw }),
    tensors: existsSync(tensors) ? readSafetensors(tensors) : new Map(),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: two JSON shapes of the fixtures, told apart here and nowhere else
function greedyCases(expected: any): GreedyCase[] {
  if (expected.greedy_prompt)
    return [{ label: "greedy", prompt: expected.greedy_prompt, ids: expected.greedy, gap: expected.greedy_gap_min }];
  return expected.greedy.map(
    (g: { lang: string; prompt: string; prompt_ids: number[]; greedy_ids: number[]; min_logit_gap: number }) => ({
      label: `${g.lang} ${JSON.stringify(g.prompt.slice(0, 20))}`,
      prompt: g.prompt_ids,
      ids: g.greedy_ids,
      gap: g.min_logit_gap,
    }),
  );
}

/** F32, I32 and I64 tensors of a safetensors file; 64-bit integers are narrowed. */
function readSafetensors(path: string): Fixture["tensors"] {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start));
  delete header.__metadata__;
  const tensors: Fixture["tensors"] = new Map();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  )) {
    const { dtype, shape, data_offsets } = entry;
    const bytes = new Uint8Array(file.subarray(start + data_offsets[0], start + data_offsets[1])).buffer;
    if (dtype === "F32") tensors.set(name, { shape, data: new Float32Array(bytes) });
    else if (dtype === "I32") tensors.set(name, { shape, data: new Int32Array(bytes) });
    else if (dtype === "I64") tensors.set(name, { shape, data: Int32Array.from(new BigInt64Array(bytes), Number) });
    else throw new Error(`${path}: ${name} is ${dtype}`);
  }
  return tensors;
}
