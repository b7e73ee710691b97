/** What `lola finetune` must be told: asked for in a terminal, an error elsewhere. */
import { moeLayers } from "../checkpoint/config.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { type Method, methods } from "../train/config.ts";
import { askChoice, askText, type Choice, tellEquivalent } from "./ask.ts";
import { required } from "./context.ts";
import type { FinetuneContext, FinetuneFlags } from "./finetune-flags.ts";
import { openNamed } from "./model.ts";
import { askModel } from "./quantize-ask.ts";
import { bytes } from "./style.ts";

/** A context whose data and folder are there. */
export interface Chosen {
  context: FinetuneContext;
  flags: FinetuneFlags;
  data: string[];
}

const example = "lola finetune examples.jsonl -o run/";

/** What each method is for. */
const purposes: Record<Method, string> = {
  lora: "small matrices beside the model's own: a small file, little is forgotten",
  experts: "the experts that these texts use, all else frozen",
  full: "all weights",
};

const lengths: Record<string, { hint: string; epochs: number }> = {
  "3 times": { hint: "usual", epochs: 3 },
  "1 time": { hint: "much data, a first look", epochs: 1 },
  "10 times": { hint: "little data; ends when it gets no better", epochs: 10 },
};

/** @throws LolaError "usage" naming what is missing where nobody can be asked; Dismissed */
export async function finetuneChoices(context: FinetuneContext): Promise<Chosen> {
  const { args, flags, interactive, notes, words } = context;
  if (flags.resume !== undefined) return { context, flags, data: args };
  const trains = !flags.dryRun && flags.preview === undefined;
  const complete = args.length > 0 && (flags.output !== undefined || !trains);
  if (complete || !interactive) {
    required(args[0], "the examples to learn from", example);
    if (trains) required(flags.output, "-o RUN, the folder to make", example);
    return { context, flags, data: args };
  }
  const more: string[] = [];
  const data = args.length > 0 ? args : [await askText("Which file or folder holds the examples?", "examples.jsonl")];
  const changed = { ...flags };
  if (args.length === 0) {
    more.push(...data);
    if (flags.model === undefined) {
      changed.model = await askModel();
      if (changed.model !== undefined) more.push("-m", changed.model);
    }
    if (flags.method === undefined && flags.onlyExperts === undefined) {
      changed.method = await askMethod(await openNamed(changed.model, notes), flags);
      more.push("--method", changed.method);
    }
    if (flags.epochs === undefined && flags.tokens === undefined) {
      const offers = Object.entries(lengths).map(([value, { hint }]) => ({ value, hint }));
      changed.epochs = lengths[await askChoice("How often is each example to be seen?", offers)]!.epochs;
      more.push("--epochs", String(changed.epochs));
    }
  }
  if (flags.output === undefined && trains) {
    changed.output = await askText("Which folder is the run to be in?", "run/");
    more.push("-o", changed.output);
  }
  tellEquivalent(notes, ["finetune", ...words, ...more]);
  return { context, flags: changed, data };
}

/** Offers each method with what it takes; closes the model. */
async function askMethod(model: ModelSource, flags: FinetuneFlags): Promise<Method> {
  const { leastMemory } = await import("./finetune-memory.ts");
  try {
    const offered = methods.filter((method) => method !== "experts" || moeLayers(model.config).length > 0);
    const choices = offered.map((value): Choice => {
      const { needed, fits } = leastMemory(value, flags, model);
      const size = `${bytes(needed)} of memory or more`;
      return { value, hint: `${purposes[value]}; ${size}${fits ? "" : ", which is not free here"}` };
    });
    const answer = await askChoice("How is it to be adapted?", choices);
    return offered.find((method) => method === answer) ?? "lora";
  } finally {
    model.close();
  }
}
