/** The work of `lola eval text` and `lola eval udhr`: texts through a model, and what each language costs. */
import { DataError, LolaError } from "../base/errors.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { languages } from "../data/languages.ts";
import type { Device } from "../device/device.ts";
import { languageScores } from "../evaluate/language-scores.ts";
import { hashOf, type TextResults, type TextSample } from "../evaluate/results.ts";
import { type Numbered, numbered, scoreDocuments } from "../evaluate/text.ts";
import { Likelihood } from "../model/likelihood.ts";
import { planScoring } from "../model/memory.ts";
import { loadModel } from "../model/open.ts";
import { saveLanguages } from "./eval-csv.ts";
import type { EvalContext, EvalFlags } from "./eval-flags.ts";
import { saveReport } from "./eval-report.ts";
import { evaluate } from "./eval-run.ts";
import { checkPlan, describePlan } from "./memory.ts";
import { remaining } from "./quantize-progress.ts";
import type { Notes } from "./streams.ts";
import { bytes, grouped } from "./style.ts";
import { textsOf } from "./texts.ts";

/** What `lola eval text --json` prints; the samples are in the file of -o. */
export interface TextEvaluation extends Omit<TextResults, "samples"> {
  /** Samples that an earlier run had done. */
  resumed: number;
  seconds: number;
  paths: { results: string | null; csv: string | null; report: string | null };
}

/** @throws LolaError, DataError */
export async function evaluateText(context: EvalContext): Promise<TextEvaluation> {
  const { flags, notes } = context;
  const named = namedTexts(context);
  const documents = numbered(await documentsOf(named, flags));
  let [started, resumed] = [performance.now(), 0];
  const results = await evaluate<TextSample, TextResults>(context, {
    kind: "text",
    settings: (source) => ({ ...windowsOf(source, flags) }),
    work: async ({ device, source, conditions, done, add, signal }) => {
      const samples = new Map(done);
      const left = documents.filter(({ id }) => !samples.has(id));
      resumed = documents.length - left.length;
      started = performance.now();
      if (left.length > 0) {
        const done = (sample: TextSample) => {
          samples.set(sample.id, sample);
          add(sample);
        };
        await score(device, source, left, flags, { done, signal }, notes);
      }
      const found = documents.map(({ id }) => samples.get(id)!);
      return {
        ...conditions,
        kind: "text",
        texts: { name: named.join(", "), hash: hashOf(found) },
        languages: languageScores(found, await languages()),
        samples: found,
      };
    },
  });
  if (flags.csv !== undefined) await saveLanguages(flags.csv, results);
  if (flags.report !== undefined) await saveReport(flags.report, results);
  const { samples, ...sums } = results;
  const paths = { results: flags.output ?? null, csv: flags.csv ?? null, report: flags.report ?? null };
  return { ...sums, resumed, seconds: (performance.now() - started) / 1000, paths };
}

function namedTexts({ action, args }: EvalContext): readonly string[] {
  if (action === "udhr") {
    if (args.length === 0) return ["udhr"];
    throw new LolaError("usage", `lola eval udhr takes no texts, not ${args[0]}`, `lola eval text ${args.join(" ")}`);
  }
  if (args.length > 0) return args;
  throw new LolaError("usage", "no texts named", "lola eval text texts/, or lola eval udhr");
}

/** In the order of the texts, without blank ones. @throws LolaError, DataError */
async function documentsOf(named: readonly string[], { lang, limit }: EvalFlags) {
  const wanted = lang?.split(",");
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  const found: { language: string; text: string }[] = [];
  for await (const { language, text } of textsOf(named)) {
    seen.add(language);
    const count = counts.get(language) ?? 0;
    const enough = limit !== undefined && count >= limit;
    if (enough || text.trim() === "" || (wanted && !wanted.includes(language))) continue;
    counts.set(language, count + 1);
    found.push({ language, text });
  }
  const missing = wanted?.find((code) => !counts.has(code));
  if (missing !== undefined)
    throw new LolaError("usage", `no text in ${JSON.stringify(missing)}`, `one of ${[...seen].sort().join(" ")}`);
  if (found.length === 0) throw new DataError("data.empty", `${named.join(", ")}: no text to score`);
  return found;
}

/** @throws LolaError "usage" for windows that the model has no positions for */
function windowsOf({ label, config }: ModelSource, { ctx, stride }: EvalFlags): { context: number; stride: number } {
  const context = ctx ?? config.context;
  if (context > config.context)
    throw new LolaError("usage", `--ctx ${ctx}: ${label} has ${config.context} positions`, `--ctx ${config.context}`);
  if (stride === undefined || stride <= context) return { context, stride: stride ?? Math.ceil(context / 2) };
  throw new LolaError("usage", `--stride ${stride} is more than the context of ${context}`, `--stride ${context}`);
}

/** Tokens of one pass, where --batch says nothing. */
const passTokens = { gpu: 8192, cpu: 1024, reference: 256 };

async function score(
  device: Device,
  source: ModelSource,
  documents: readonly Numbered[],
  flags: EvalFlags,
  { done, signal }: { done: (sample: TextSample) => void; signal: AbortSignal },
  notes: Notes,
): Promise<void> {
  const { context, stride } = windowsOf(source, flags);
  const all = documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  // No token is less than a byte: more rows than that would never be used.
  const most = Math.max(1, Math.ceil(all / stride));
  const batch = Math.min(most, flags.batch ?? Math.max(1, Math.floor(passTokens[device.info.kind] / context)));
  checkMemory(device, source, batch, context, notes);
  notes.progress(`loading ${source.label}`);
  const { config, tokenizer, weights } = loadModel(device, source);
  const likelihood = new Likelihood(device, { ...config, context }, weights, batch);
  const { eos, vocabulary } = config;
  const left = remaining();
  await scoreDocuments(
    likelihood,
    tokenizer,
    documents,
    { eos, vocabulary, context, stride },
    {
      done,
      signal,
      progress: (read) =>
        notes.progress(
          `scoring ${grouped(documents.length)} documents, ${bytes(read)} of ${bytes(all)}${left(read / all)}`,
        ),
    },
  );
}

/** @throws LolaError "device" where the model and a pass are more than there is room for */
function checkMemory(device: Device, source: ModelSource, batch: number, context: number, notes: Notes): void {
  const plan = planScoring(device, source, batch, context);
  notes.tell(describePlan(plan));
  checkPlan(device, plan, source.label, (available) => {
    const fewer = Math.min(256, context);
    const fits = (tokens: number) => planScoring(device, source, 1, tokens).total <= available;
    if (fits(context)) return "--batch 1";
    return fits(fewer) ? `--batch 1 --ctx ${fewer}` : "lola quantize, or a machine with more memory";
  });
}
