/** The built-in held-out text: the Universal Declaration of Human Rights, one document a language. */
import { embeddedDeclaration } from "../base/embedded.ts";
import { LolaError } from "../base/errors.ts";
import { type Document, readDocuments } from "../data/documents.ts";

/**
 * The Declaration by language (ISO 639-3, with a suffix for a second script), in order; a paragraph a line.
 * @param languages only these
 * @throws LolaError "usage" for a language that it is not in, or where this build has none
 */
export async function declaration(languages?: readonly string[]): Promise<Document[]> {
  const path = embeddedDeclaration();
  if (path === undefined)
    throw new LolaError("usage", "this build has no text inside", "a folder or files with text of your own");
  const rest = { label: "the Declaration", language: "und", bytes: 0, identity: "" };
  const all = await Array.fromAsync(readDocuments([{ path, format: "jsonl", compression: "zstd", ...rest }]));
  const missing = languages?.find((code) => all.every(({ language }) => language !== code));
  if (missing !== undefined) {
    const known = all.map(({ language }) => language).join(" ");
    throw new LolaError("usage", `the Declaration is not here in ${JSON.stringify(missing)}`, `one of ${known}`);
  }
  return languages ? all.filter(({ language }) => languages.includes(language)) : all;
}
