/** What `lola train` must be told: asked for in a terminal, an error elsewhere. */
import { presetNames, presets } from "../model/presets.ts";
import { askChoice, askText, tellEquivalent } from "./ask.ts";
import { type Context, required } from "./context.ts";
import type { TrainFlags } from "./train-flags.ts";

/** A context whose data and folder are there. */
export interface Chosen {
  context: Context<TrainFlags>;
  flags: TrainFlags;
  data: string[];
}

const example = "lola train corpus/ -o run/";

/** Lengths of a training that are offered; the default is what suits the sizes of model and text. */
const lengths: Record<string, { hint: string; tokens?: number }> = {
  usual: { hint: "20 tokens for each active parameter, at most 4 times the text" },
  "1 million tokens": { hint: "a first try", tokens: 1_000_000 },
  "10 million tokens": { hint: "some words", tokens: 10_000_000 },
  "100 million tokens": { hint: "sentences", tokens: 100_000_000 },
};

/** @throws LolaError "usage" naming what is missing where nobody can be asked; Dismissed */
export async function trainingChoices(context: Context<TrainFlags>): Promise<Chosen> {
  const { args, flags, interactive, notes, words } = context;
  if (flags.resume !== undefined) return { context, flags, data: args };
  const complete = args.length > 0 && (flags.output !== undefined || flags.dryRun);
  if (complete || !interactive) {
    required(args[0], "the data to train on", example);
    if (!flags.dryRun) required(flags.output, "-o RUN, the folder to make", example);
    return { context, flags, data: args };
  }
  const more: string[] = [];
  const data = args.length > 0 ? args : [await askText("Which file or folder holds the text?", "corpus/")];
  if (args.length === 0) more.push(...data);
  let { preset, tokens, output } = flags;
  if (args.length === 0 && preset === undefined && flags.model === undefined) {
    const sizes = presetNames.map((value) => ({ value, hint: presets[value].doc }));
    const answer = await askChoice("How large a model?", sizes);
    preset = presetNames.find((name) => name === answer);
    more.push("--preset", answer);
  }
  if (args.length === 0 && tokens === undefined) {
    const offers = Object.entries(lengths).map(([value, { hint }]) => ({ value, hint }));
    tokens = lengths[await askChoice("How long is it to train?", offers)]?.tokens;
    if (tokens !== undefined) more.push("--tokens", `${tokens / 1e6}M`);
  }
  if (output === undefined && !flags.dryRun) {
    output = await askText("Which folder is the run to be in?", "run/");
    more.push("-o", output);
  }
  tellEquivalent(notes, ["train", ...words, ...more]);
  return { context, flags: { ...flags, preset, tokens, output }, data };
}
