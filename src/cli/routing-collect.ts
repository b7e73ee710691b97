/** The work of `lola routing collect`: texts through a model, and a folder that says where each language's tokens went. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { saveFile } from "../base/atomic.ts";
import { DataError, LolaError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { moeLayers } from "../checkpoint/config.ts";
import { openDevice } from "../device/choose.ts";
import { loadModel } from "../model/open.ts";
import { type CollectOptions, collect, tokenised } from "../routing/collect.ts";
import { RoutingPass } from "../routing/collect-pass.ts";
import { TokenTable } from "../routing/collect-tokens.ts";
import type { Collection, LanguageRouting } from "../routing/collection.ts";
import { collectionPath, saveCollection } from "../routing/folder.ts";
import { type LayerLoad, layerLoads } from "../routing/vectors.ts";
import { askText, tellEquivalent } from "./ask.ts";
import { required } from "./context.ts";
import { openNamed } from "./model.ts";
import type { RoutingContext } from "./routing-flags.ts";
import { grouped } from "./style.ts";
import { textsOf } from "./texts.ts";

export interface Collected {
  /** The file of the collection, and that of tokens. */
  path: string;
  tokensPath: string | null;
  model: string;
  identity: string;
  texts: string;
  device: { kind: string; name: string };
  languages: Pick<LanguageRouting, "language" | "documents" | "bytes" | "tokens">[];
  documents: number;
  bytes: number;
  tokens: number;
  /** Of the passes, without loading. */
  seconds: number;
  tokensPerSecond: number;
  layers: LayerLoad[];
}

/** Whoever names no texts has the Declaration. */
const usualTexts = "udhr";

/** @throws LolaError, DataError */
export async function collectRouting(context: RoutingContext): Promise<Collected> {
  const { flags, notes, args } = context;
  const texts = args.length > 0 ? args : [usualTexts];
  const folder = await chosenFolder(context);
  for (const path of [collectionPath(folder), ...(flags.tokens === undefined ? [] : [flags.tokens])])
    if (existsSync(path) && !flags.force)
      throw new LolaError("usage", `${path} exists`, "--force to replace it, or another one");
  const signal = context.cancellation();
  const source = await openNamed(flags.model, notes);
  try {
    const { device } = await openDevice(flags.device, flags.threads ? { threads: flags.threads } : {});
    try {
      notes.progress(`loading ${source.label}`);
      const pass = new RoutingPass(loadModel(device, source));
      const { config, tokenizer } = pass.model;
      const limits = { documents: flags.docs, bytes: flags.maxBytes ?? Number.POSITIVE_INFINITY };
      const started = performance.now();
      const seconds = () => (performance.now() - started) / 1000;
      const progress: CollectOptions["progress"] = (done) =>
        notes.progress(
          `reading, ${done.languages} languages, ${grouped(done.tokens)} tokens, ${grouped(Math.round(done.tokens / seconds()))} a second`,
        );
      const read = (more: Pick<CollectOptions, "onDocument">) =>
        collect(pass, tokenised(textsOf(texts), tokenizer, limits), { progress, signal, ...more });
      const found = await withTokens(flags.tokens, moeLayers(config).length, read);
      const taken = seconds();
      if (found.length === 0) throw new DataError("data.empty", `${texts.join(", ")}: no text in it`);
      const collection: Collection = {
        format: 1,
        version,
        model: { label: source.label, identity: source.identity },
        texts: texts.join(", "),
        experts: config.experts,
        layers: moeLayers(config),
        languages: found,
      };
      const path = await saveCollection(folder, collection);
      const { kind, name } = device.info;
      const sum = (of: (language: LanguageRouting) => number) => found.reduce((total, one) => total + of(one), 0);
      const tokens = sum((one) => one.tokens);
      return {
        path,
        tokensPath: flags.tokens ?? null,
        model: source.label,
        identity: collection.model.identity,
        texts: collection.texts,
        device: { kind, name },
        languages: found.map(({ language, documents, bytes, tokens }) => ({ language, documents, bytes, tokens })),
        documents: sum((one) => one.documents),
        bytes: sum((one) => one.bytes),
        tokens,
        seconds: taken,
        tokensPerSecond: tokens / taken,
        layers: layerLoads(collection),
      };
    } finally {
      device.close();
    }
  } finally {
    notes.progress("");
    source.close();
  }
}

/** Reads, and writes the table of tokens on the way if there is to be one: whole, or not at all. */
async function withTokens(
  path: string | undefined,
  layers: number,
  read: (more: Pick<CollectOptions, "onDocument">) => Promise<LanguageRouting[]>,
): Promise<LanguageRouting[]> {
  if (path === undefined) return read({});
  let found: LanguageRouting[] = [];
  await saveFile(resolve(path), async (output) => {
    const table = new TokenTable(output, layers);
    found = await read({ onDocument: (document) => table.add(document) });
    table.end();
  });
  return found;
}

async function chosenFolder({ flags, interactive, notes, words }: RoutingContext): Promise<string> {
  if (flags.output !== undefined || !interactive)
    return required(flags.output, "-o FOLDER, the folder to write", "lola routing collect udhr -o run/");
  const folder = await askText("Which folder is it to go to?", "run/");
  tellEquivalent(notes, ["routing", ...words, "-o", folder]);
  return folder;
}
