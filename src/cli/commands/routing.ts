/** `lola routing`: which experts each language's tokens pass, and what that has to do with families of languages. */
import { LolaError } from "../../base/errors.ts";
import type { CollectionDiff, LanguageDiff } from "../../routing/diff.ts";
import type { Collected } from "../routing-collect.ts";
import { type RoutingContext, routingFlags } from "../routing-flags.ts";
import type { Reported } from "../routing-report.ts";
import { showCollected, showCollectionDiff, showLanguageDiff, showReported } from "../routing-show.ts";
import { defineCommand } from "../table.ts";

export const routing = defineCommand({
  name: "routing",
  summary: "counts which experts each language passes, draws and compares it",
  examples: [
    { line: "lola routing collect -o run/", doc: "the built-in model on the Declaration" },
    {
      line: "lola routing collect texts/ -m model.lola -o run/ --docs 500",
      doc: "texts of your own: texts/swa.txt, texts/deu.jsonl …",
    },
    {
      line: "lola routing report run/",
      doc: "run/report.html and figures: does routing follow families?",
    },
    { line: "lola routing diff run/ --lang swa,lin", doc: "two languages: the experts that tell them apart" },
    { line: "lola routing diff early/ late/", doc: "two checkpoints: the languages that moved" },
  ],
  actions: {
    collect: "reads texts, counts each language's tokens by layer and expert",
    report: "draws a collection and tests what goes with it: family, script, place",
    diff: "what differs between two collections, or two languages of one",
  },
  args: [{ name: "paths", doc: "collect: texts, or udhr; report, diff: collections", many: true, complete: "file" }],
  flags: routingFlags,
  notes: [
    "Every document starts at position 0 with nothing before it; one longer than the context is cut into windows that do. Only real tokens are computed and counted. lola help data tells what texts may look like; a document's language is its file's or folder's name, or its lang in JSONL.",
    "The folder holds routing.json: counts, mean gate probabilities and entropy by layer and expert, and the tokens that each expert likes. It appears whole or not at all.",
    "report writes one page that needs nothing else, and each figure as SVG, PNG, CSV and JSON in figures/. Correlations are Mantel's, of ranks, against 10,000 permutations with a fixed seed: the same collection gives the same numbers.",
    "Distances are Jensen–Shannon distances between the shares of a language's tokens that experts see: 0 alike, 1 nothing in common.",
  ],
  async run(context): Promise<Collected | Reported | CollectionDiff | LanguageDiff> {
    switch (context.action) {
      case "collect": {
        const { collectRouting } = await import("../routing-collect.ts");
        return collectRouting(context);
      }
      case "report": {
        const { reportRouting } = await import("../routing-report.ts");
        return reportRouting(context);
      }
      case "diff":
        return diff(context);
    }
  },
  show(result) {
    if ("path" in result) return showCollected(result);
    if ("report" in result) return showReported(result);
    return "arrangement" in result ? showCollectionDiff(result) : showLanguageDiff(result);
  },
});

async function diff({ args, flags: { lang } }: RoutingContext): Promise<CollectionDiff | LanguageDiff> {
  const [first, second, ...more] = args;
  const { diffCollections, diffLanguages } = await import("../../routing/diff.ts");
  const { readCollection } = await import("../../routing/folder.ts");
  const example = "lola routing diff A/ B/, or lola routing diff A/ --lang swa,lin";
  if (first === undefined || more.length > 0)
    throw new LolaError("usage", `diff takes one or two collections, not ${args.length}`, example);
  if (second !== undefined) {
    if (lang !== undefined) throw new LolaError("usage", "--lang compares languages of one collection", example);
    return diffCollections(readCollection(first), readCollection(second));
  }
  const [a, b, ...others] = lang?.split(",") ?? [];
  if (!a || !b || others.length > 0)
    throw new LolaError("usage", "with one collection, --lang names the two languages to compare", example);
  return diffLanguages(readCollection(first), a, b);
}
