/** `--memory` and `--lang`: experts that take turns on the device, which of them come first, and what is told of it. */
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { type RoutingProfile, sharesOf } from "../checkpoint/profile.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { ExpertPool, LayerTraffic } from "../model/offload-pool.ts";
import { bytes } from "./style.ts";
import type { Flags } from "./table.ts";

export const offloadFlags = {
  memory: {
    type: "size",
    value: "SIZE",
    doc: "run within so much memory (3GiB): experts are read from the file when they are wanted; same text, more slowly",
    category: "Model and engine",
    setting: true,
  },
  lang: {
    type: "text",
    value: "LANGUAGE",
    doc: "with --memory: begin with the experts that this language (swa) uses most, of a model that was calibrated",
    category: "Model and engine",
  },
} as const satisfies Flags;

export interface OffloadFlags {
  memory: number | undefined;
  lang: string | undefined;
}

/** Languages that a refusal names. */
const namedLanguages = 12;

/**
 * The share of tokens that each expert gets in the language asked for, [MoE layer, expert]; undefined without one.
 * @throws LolaError "usage" where there is nothing to fill, or no count of that language
 */
export function languageShares(
  { label, routing }: ModelSource,
  { memory, lang }: OffloadFlags,
): Float64Array | undefined {
  if (lang === undefined) return undefined;
  if (memory === undefined)
    throw new LolaError(
      "usage",
      `--lang ${lang} says which experts come first where not all are on the device, as with --memory`,
      "--memory 3GiB with it",
    );
  if (!routing)
    throw new LolaError(
      "usage",
      `${label} does not tell which experts a language uses`,
      `lola quantize ${label} --calibrate TEXT, or without --lang`,
    );
  const counts = routing.get(lang);
  if (!counts) throw unknownLanguage(label, lang, routing);
  return sharesOf(counts);
}

function unknownLanguage(label: string, lang: string, routing: RoutingProfile): LolaError {
  const known = [...routing.keys()];
  const more = known.length > namedLanguages ? ` and ${known.length - namedLanguages} more` : "";
  const meant = nearest(lang, known);
  return new LolaError(
    "usage",
    `${label} was calibrated without ${JSON.stringify(lang)}, on ${known.slice(0, namedLanguages).join(", ")}${more}`,
    meant ? `--lang ${meant}` : "without --lang",
  );
}

/** What --json tells of experts that took turns. */
export interface OffloadJson {
  /** Experts on the device at once, and of the model. */
  slots: number;
  experts: number;
  readBytes: number;
  layers: readonly LayerTraffic[];
}

export function offloadJson({ slots, all, bytes: readBytes, traffic }: ExpertPool): OffloadJson {
  return { slots, experts: all, readBytes, layers: traffic };
}

/** One line. */
export function showOffload({ slots, all, bytes: read, traffic }: ExpertPool): string {
  const rate = (layers: readonly LayerTraffic[]) => {
    const [hits, misses] = [sum(layers, (l) => l.hits), sum(layers, (l) => l.misses)];
    return hits + misses > 0 ? (100 * hits) / (hits + misses) : 0;
  };
  const rates = traffic.map((layer) => rate([layer]));
  const [least, most] = [Math.min(...rates), Math.max(...rates)].map((share) => share.toFixed(0));
  return `${slots} of ${all} experts at once: ${rate(traffic).toFixed(0)} % were there (${least} to ${most} % by layer), ${bytes(read)} read`;
}

const sum = (layers: readonly LayerTraffic[], of: (layer: LayerTraffic) => number) =>
  layers.reduce((total, layer) => total + of(layer), 0);
