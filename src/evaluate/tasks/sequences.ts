/** Likelihoods of many sequences of all lengths: sorted by length, so that those of one pass are about equally long. */
import type { Device, Tensor } from "../../device/device.ts";
import { Likelihood, type Scored } from "../../model/likelihood.ts";
import type { Model } from "../../model/open.ts";
import type { Outcome } from "./metrics.ts";

export interface SequenceOptions {
  /** Positions that the model has, at most. */
  context: number;
  /** Sequences of one pass; default: by the device. */
  batch?: number;
  /** Is `greedy` wanted? It takes a look at all logits. */
  greedy: boolean;
  signal?: AbortSignal;
}

/** Positions of one pass, where `batch` says nothing. */
export const passTokens = { gpu: 8192, cpu: 1024, reference: 256 };
/** Passes come in these lengths, and the model's context. */
const lengths = [64, 128, 256, 512, 1024];

/**
 * Scores sequences, the longest first, and gives each one's index with what came of it.
 * @param sequences each of at most `context` tokens
 * @throws LolaError "device" when there is no room for a pass; DOMException AbortError after `signal`
 */
export async function* scoreSequences(
  { device, config, weights }: Model,
  sequences: readonly Scored[],
  { context, batch, greedy, signal }: SequenceOptions,
): AsyncGenerator<{ index: number; outcome: Outcome }> {
  const order = [...sequences.keys()].sort(
    (a, b) => sequences[b]!.tokens.length - sequences[a]!.tokens.length || a - b,
  );
  for (let from = 0; from < order.length; ) {
    const longest = sequences[order[from]!]!.tokens.length;
    const length = Math.min(context, lengths.find((one) => one >= longest) ?? context);
    const shorter = Math.max(0, ...lengths.filter((one) => one < length));
    let end = from;
    while (end < order.length && sequences[order[end]!]!.tokens.length > shorter) end++;
    const rows = Math.max(1, Math.min(batch ?? Math.floor(passTokens[device.info.kind] / length), end - from));
    const { kept, device: lent } = recording(device);
    const likelihood = new Likelihood(lent, { ...config, context: length }, weights, rows, greedy);
    try {
      for (; from < end; from += rows) {
        signal?.throwIfAborted();
        const some = order.slice(from, Math.min(end, from + rows));
        yield* await outcomesOf(likelihood, some, sequences, config.vocabulary, greedy);
      }
      from = end;
    } finally {
      for (const tensor of kept) device.free(tensor);
    }
  }
}

async function outcomesOf(
  likelihood: Likelihood,
  some: readonly number[],
  sequences: readonly Scored[],
  vocabulary: number,
  greedy: boolean,
): Promise<{ index: number; outcome: Outcome }[]> {
  const asked = some.map((index) => sequences[index]!);
  const observed = greedy ? await likelihood.observe(asked) : undefined;
  const losses = observed?.map((one) => one.losses) ?? (await likelihood.score(asked));
  return some.map((index, i) => {
    const best = observed ? observed[i]!.best : undefined;
    const { targets } = asked[i]!;
    // A target that is no token is not asked for.
    const from = targets.lastIndexOf(vocabulary) + 1;
    const likelihood = -losses[i]!.subarray(from).reduce((sum, loss) => sum + loss, 0);
    return {
      index,
      outcome: { likelihood, ...(best && { greedy: targets.every((id, t) => t < from || id === best[t]) }) },
    };
  });
}

/** The same device, and what tensors are made on it from now on. */
function recording(device: Device): { kept: Tensor[]; device: Device } {
  const kept: Tensor[] = [];
  const tensor: Device["tensor"] = (spec) => {
    const made = device.tensor(spec);
    kept.push(made);
    return made;
  };
  const lent = new Proxy(device, {
    get(target, key) {
      if (key === "tensor") return tensor;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { kept, device: lent };
}
