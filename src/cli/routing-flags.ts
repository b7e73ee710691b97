/** The flags of `lola routing`. */
import type { Context } from "./context.ts";
import { engineFlags, modelFlag } from "./flags.ts";
import type { Flags, Values } from "./table.ts";

export type RoutingAction = "collect" | "report" | "diff";

export const routingFlags = {
  output: {
    type: "text",
    value: "FOLDER",
    short: "o",
    doc: "collect: the folder of the collection; report: where to write, if not there",
    complete: "directory",
  },
  force: { type: "flag", doc: "collect: replace the collection in it" },
  docs: {
    type: "count",
    value: "N",
    default: 10_000,
    min: 1,
    doc: "collect: read so many documents of each language, the first ones",
    category: "Texts",
  },
  maxBytes: { type: "size", value: "SIZE", doc: "collect: and so much text of each (20kB)", category: "Texts" },
  tokens: {
    type: "text",
    value: "FILE",
    doc: "collect: write each token and its experts too, a table of tabs (tokens.tsv.zst)",
    category: "Texts",
    complete: "file",
  },
  lang: { type: "text", value: "CODES", doc: "diff: two languages of one collection (swa,lin)" },
  ...modelFlag,
  ...engineFlags,
} as const satisfies Flags;

export type RoutingFlags = Values<typeof routingFlags>;
export type RoutingContext = Context<RoutingFlags, RoutingAction>;
