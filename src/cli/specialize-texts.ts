/** What `lola specialize` chooses experts by, and the other text that it measures on. */
import { DataError, LolaError } from "../base/errors.ts";
import type { Document } from "../data/documents.ts";
import { declaration } from "../evaluate/declaration.ts";
import { beginnings } from "../evaluate/held-out.ts";
import type { SpecializeFlags } from "./specialize-flags.ts";
import { filesOf, textsOf } from "./texts.ts";

export interface SpecializeTexts {
  /** What experts are chosen by, as people call it; one text a language. */
  chosenBy: string;
  chosen: Document[];
  /** What is measured on. */
  measuredOn: string;
  measured: Document[];
}

/** @throws LolaError "usage" for a language without text; DataError for files that cannot be read, or hold none */
export async function specializeTexts(languages: readonly string[], flags: SpecializeFlags): Promise<SpecializeTexts> {
  const { texts, textBytes, eval: named, evalBytes, maxLoss } = flags;
  const own = texts.length > 0;
  const all = own ? filesOf(texts) : halves(await declaration(), "first");
  const found = await beginnings(all, textBytes);
  const chosen = languages.map((code) => found.find(({ language }) => language === code) ?? missing(code, found, own));
  if (named.includes("none")) {
    if (named.length > 1 || maxLoss !== undefined)
      throw new LolaError(
        "usage",
        `--eval none and ${named.length > 1 ? "other texts" : "--max-loss"} contradict each other`,
        "one of them",
      );
    return { chosenBy: chosenBy(texts), chosen, measuredOn: "none", measured: [] };
  }
  const wanted = named.length > 0 ? named : ["udhr"];
  const measured = await beginnings(own ? textsOf(wanted) : otherHalves(wanted), evalBytes);
  if (measured.length === 0) throw new DataError("data.empty", `${wanted.join(", ")}: no text to measure on`);
  const unmeasured = languages.find((code) => measured.every(({ language }) => language !== code));
  if (maxLoss !== undefined && unmeasured !== undefined)
    throw new LolaError(
      "usage",
      `--max-loss: ${wanted.join(", ")} has no text in ${JSON.stringify(unmeasured)} to measure on`,
      "--eval DIR with text in it",
    );
  const part = own || !wanted.some(isDeclaration) ? "" : ", second half of its lines";
  return { chosenBy: chosenBy(texts), chosen, measuredOn: wanted.join(", ") + part, measured };
}

const chosenBy = (texts: readonly string[]) => (texts.length > 0 ? texts.join(", ") : "udhr, first half of its lines");

const isDeclaration = (name: string) => /^udhr(:|$)/.test(name);

/** What text is named, of the Declaration the half that nothing was chosen by. */
async function* otherHalves(named: readonly string[]): AsyncGenerator<Document> {
  for (const name of named) {
    if (isDeclaration(name)) yield* halves(await Array.fromAsync(textsOf([name])), "second");
    else yield* textsOf([name]);
  }
}

function halves(documents: readonly Document[], which: "first" | "second"): Document[] {
  return documents.map(({ language, text }) => {
    const lines = text.split("\n");
    const middle = lines.length >> 1;
    return { language, text: (which === "first" ? lines.slice(0, middle) : lines.slice(middle)).join("\n") };
  });
}

/** How many languages a refusal names. */
const namedLanguages = 8;

function missing(code: string, found: readonly Document[], own: boolean): never {
  const known = found.map(({ language }) => language);
  const more = known.length > namedLanguages ? ` and ${known.length - namedLanguages} more` : "";
  throw new LolaError(
    "usage",
    `${own ? "the texts have" : "the Declaration has"} nothing in ${JSON.stringify(code)}; they are in ${known.slice(0, namedLanguages).join(", ")}${more}`,
    own ? "--lang with one of these" : "--texts DIR with text in it",
  );
}
