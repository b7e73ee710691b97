/** What `lola specialize` does once it knows what to do: choose and fit, write, measure. */
import { existsSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import { moeLayers } from "../checkpoint/config.ts";
import { inOrder, parameterCounts } from "../checkpoint/layout.ts";
import { type TensorInfo, tensorBytes } from "../checkpoint/tensor.ts";
import { openDevice } from "../device/choose.ts";
import { compareModels, type ModelCost } from "../evaluate/models.ts";
import { loadModel, type Model, openSource } from "../model/open.ts";
import { describePlan, type Plan } from "../quantize/plan.ts";
import { quantizeModel } from "../quantize/quantize.ts";
import { type Specialized, specialize } from "../routing/specialize.ts";
import { openNamed } from "./model.ts";
import { remaining } from "./quantize-progress.ts";
import { signed } from "./quantize-show.ts";
import { keptExperts } from "./specialize-ask.ts";
import type { SpecializeContext } from "./specialize-flags.ts";
import type { SpecializeResult } from "./specialize-show.ts";
import { type SpecializeTexts, specializeTexts } from "./specialize-texts.ts";
import type { Notes } from "./streams.ts";
import { percent } from "./style.ts";

/** @param path the file to write @throws LolaError, DataError */
export async function specializeInto(
  context: SpecializeContext,
  languages: readonly string[],
  path: string,
): Promise<SpecializeResult> {
  const started = performance.now();
  const { flags, notes } = context;
  if (existsSync(path) && !flags.force)
    throw new LolaError("usage", `${path} exists`, "--force to replace it, or another -o FILE");
  const source = await openNamed(flags.model, notes);
  try {
    if (moeLayers(source.config).length === 0)
      throw new LolaError("usage", `${source.label} has no layer of experts`, "another -m MODEL");
    const keep = keptExperts(flags.keep, source.config.experts);
    const signal = context.cancellation();
    const texts = await specializeTexts(languages, flags);
    const { device, why } = await openDevice(flags.device, flags.threads ? { threads: flags.threads } : {});
    try {
      notes.tell(why);
      const model = loadModel(device, source);
      const left = remaining();
      const made = await specialize(model, texts.chosen, {
        ...{ keep, signal },
        progress: (done, all) => notes.progress(`fitting layer ${done + 1} of ${all}${left(done / all)}`),
      });
      const plan = planOf(made);
      let cost: ModelCost | undefined;
      const saved = await quantizeModel(device, made.source, path, plan, {
        ...{ store: flags.store, signal, meta: made.source },
        accept: async (file) => {
          cost = await measure(model, file, made, texts, notes, signal);
          if (flags.maxLoss !== undefined && cost) checkLoss(cost, languages, flags.maxLoss);
        },
      });
      return {
        model: source.label,
        path,
        languages: [...languages],
        keep,
        experts: source.config.experts,
        layers: made.layers,
        chosenBy: texts.chosenBy,
        tokens: made.tokens,
        identity: saved.identity,
        fileBytes: saved.fileBytes,
        before: contentBytes(source.tensors.values()),
        after: saved.after,
        parameters: parameterCounts(made.source.config),
        types: describePlan(plan),
        measured: cost ? { text: texts.measuredOn, ...cost } : null,
        device: { kind: device.info.kind, name: device.info.name },
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      device.close();
    }
  } finally {
    notes.progress("");
    source.close();
  }
}

/** Everything in the type that it was stored in. */
function planOf({ source, stored }: Specialized): Plan {
  return inOrder(source).map(({ name, shape, type: now }) => {
    const type = stored.get(name) ?? now;
    return { name, type, shape, bytes: tensorBytes(name, type, shape) };
  });
}

/** Undefined where there is nothing to measure on. */
async function measure(
  model: Model,
  file: string,
  { layers }: Specialized,
  { measured: texts }: SpecializeTexts,
  notes: Notes,
  signal: AbortSignal,
): Promise<ModelCost | undefined> {
  if (texts.length === 0) return undefined;
  const after = openSource(file);
  try {
    const left = remaining();
    return await compareModels([model, loadModel(model.device, after)], texts, {
      names: layers.map(({ kept }) => kept),
      progress: (done, all, language) =>
        notes.progress(`measuring ${language}, ${done + 1} of ${all}${left(done / all)}`),
      signal,
    });
  } finally {
    after.close();
  }
}

/** @throws LolaError "failed" naming the chosen languages that lost more than `most` */
function checkLoss({ languages }: ModelCost, chosen: readonly string[], most: number): void {
  // Not a number is no small loss.
  const over = languages.filter(({ language, change }) => chosen.includes(language) && !(change <= most));
  if (over.length === 0) return;
  const worst = over.map(({ language, change }) => `${language} ${signed(change)}`);
  throw new LolaError(
    "failed",
    `over ${percent(most)} more bits per byte: ${worst.join(", ")}; nothing was written`,
    "--keep more experts, or --texts DIR with more text of the language",
  );
}

const contentBytes = (tensors: Iterable<TensorInfo>) => Array.from(tensors).reduce((sum, { bytes }) => sum + bytes, 0);
