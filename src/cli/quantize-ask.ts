/** What `lola quantize` must be told: asked for in a terminal, an error elsewhere. */
import type { QuantPreset } from "../quantize/plan.ts";
import { askChoice, askText, type Choice, tellEquivalent } from "./ask.ts";
import { required } from "./context.ts";
import { openNamed } from "./model.ts";
import type { QuantizeContext, QuantizeFlags } from "./quantize-flags.ts";
import { bytes } from "./style.ts";

/** What is to be quantized, how, and where it goes. */
export interface Chosen {
  context: QuantizeContext;
  flags: QuantizeFlags;
  /** Undefined: the built-in one. */
  model: string | undefined;
  output: string;
}

const builtIn = "the built-in one";
const other = "another file or folder";

/** What each preset is. */
const presets: Record<QuantPreset, string> = {
  q8: "8 bits a weight, closest to the model",
  mixed: "experts in 4 bits, all else in 8",
  q4: "4 bits a weight, the smallest",
};

/** @throws LolaError "usage" naming what is missing where nobody can be asked; Dismissed */
export async function quantizationChoices(context: QuantizeContext): Promise<Chosen> {
  const { args, flags, interactive, notes, words } = context;
  const named = args[0] ?? flags.model;
  if (flags.output !== undefined || !interactive) {
    const output = required(flags.output, "-o FILE, the file to write", "lola quantize model.lola -o small.lola");
    return { context, flags, model: named, output };
  }
  const more: string[] = [];
  const model = named ?? (await askModel());
  if (named === undefined && model !== undefined) more.push(model);
  let { type } = flags;
  if (context.origins.get("type") !== "command line" && flags.budget === undefined) {
    type = await askType(model, context);
    more.push("--type", type);
  }
  const output = await askText("Which file is it to go to?", "small.lola");
  more.push("-o", output);
  tellEquivalent(notes, ["quantize", ...words, ...more]);
  return { context, flags: { ...flags, type }, model, output };
}

async function askModel(): Promise<string | undefined> {
  const { listModels } = await import("../checkpoint/models.ts");
  const stored = listModels().map(({ name, bytes: size }): Choice => ({ value: name, hint: bytes(size) }));
  const answer = await askChoice("Which model?", [{ value: builtIn }, ...stored, { value: other }]);
  if (answer === other) return askText("Which file or folder holds it?", "model.lola");
  return answer === builtIn ? undefined : answer;
}

async function askType(model: string | undefined, { flags, notes }: QuantizeContext): Promise<QuantPreset> {
  const { planFor, plannedBytes, presetChoice, quantPresets } = await import("../quantize/plan.ts");
  const source = await openNamed(model, notes);
  const group = Number(flags.group) as 32 | 64 | 128;
  const choices = quantPresets.map((value): Choice & { value: QuantPreset } => {
    const size = plannedBytes(source, planFor(source, presetChoice(value, group)));
    return { value, hint: `fits in ${gibibytes(size)}; ${presets[value]}` };
  });
  source.close();
  const answer = await askChoice("How small?", choices);
  return quantPresets.find((name) => name === answer)!;
}

/** At least so much, in two figures: "0.013 GiB", "4.2 GiB". */
function gibibytes(size: number): string {
  const value = size / 2 ** 30;
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return `${Number((Math.ceil(value / unit) * unit).toPrecision(2))} GiB`;
}
