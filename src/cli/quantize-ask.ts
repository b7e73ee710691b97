/** What `lola quantize` must be told: asked for in a terminal, an error elsewhere. */
import type { QuantPreset } from "../quantize/plan.ts";
import { askChoice, askText, type Choice, tellEquivalent } from "./ask.ts";
import { required } from "./context.ts";
import { openNamed } from "./model.ts";
import type { QuantizeContext, QuantizeFlags } from "./quantize-flags.ts";
import { signed } from "./quantize-show.ts";
import { bytes } from "./style.ts";
import { parseSize } from "./values.ts";

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

const ownSize = "another size";

/**
 * What each preset cost the built-in model: changes of bits per byte, on average and in the worst language. Measured by `lola
 * quantize --type TYPE --device cpu` in groups of 64, as the README's "What does quantizing cost?" tells.
 */
const measured: Record<QuantPreset, { mean: number; worst: number }> = {
  q8: { mean: 0.0001, worst: 0.0017 },
  mixed: { mean: 0.0003, worst: 0.009 },
  q4: { mean: 0.005, worst: 0.016 },
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
  let { type, budget } = flags;
  if (context.origins.get("type") !== "command line" && budget === undefined) {
    const preset = await askType(model, context);
    if (preset) {
      type = preset;
      more.push("--type", preset);
    } else {
      const size = await askText("Which size is it to fit in?", "4GiB");
      budget = parseSize(size, "the size");
      more.push("--budget", size);
    }
  }
  const output = await askText("Which file is it to go to?", "small.lola");
  more.push("-o", output);
  tellEquivalent(notes, ["quantize", ...words, ...more]);
  return { context, flags: { ...flags, type, budget }, model, output };
}

/** @returns undefined for the built-in one */
export async function askModel(): Promise<string | undefined> {
  const { listModels } = await import("../checkpoint/models.ts");
  const stored = listModels().map(({ name, bytes: size }): Choice => ({ value: name, hint: bytes(size) }));
  const answer = await askChoice("Which model?", [{ value: builtIn }, ...stored, { value: other }]);
  if (answer === other) return askText("Which file or folder holds it?", "model.lola");
  return answer === builtIn ? undefined : answer;
}

/** @returns undefined for a size of one's own */
async function askType(model: string | undefined, { flags, notes }: QuantizeContext): Promise<QuantPreset | undefined> {
  const { plannedBytes, quantPresets } = await import("../quantize/plan.ts");
  const { presetPlan } = await import("./quantize-plan.ts");
  const source = await openNamed(model, notes);
  const { experts, dense, attention, embedding, group } = flags;
  const whole = (experts ?? dense ?? attention ?? embedding) === undefined;
  const choices = quantPresets.map((type): Choice => {
    const size = `${type.padEnd(5)}  fits in ${gibibytes(plannedBytes(source, presetPlan(source, { ...flags, type })))}`;
    const { mean, worst } = measured[type];
    const known = whole && group === "64";
    return { value: type, label: known ? `${size}; ${signed(mean)}, at worst ${signed(worst)}` : size };
  });
  source.close();
  if (whole) choices.push({ value: ownSize, hint: "as many bits as it holds" });
  const answer = await askChoice("How small? (+: bits per byte, as measured on the built-in model)", choices);
  return quantPresets.find((name) => name === answer);
}

/** At least so much, in two figures: "0.013 GiB", "4.2 GiB". */
function gibibytes(size: number): string {
  const value = size / 2 ** 30;
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return `${Number((Math.ceil(value / unit) * unit).toPrecision(2))} GiB`;
}
