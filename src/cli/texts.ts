/** Texts that a command line names: files, folders of them, or the Declaration that is inside. */
import { join } from "node:path";
import { places } from "../base/paths.ts";
import { type Document, readDocuments } from "../data/documents.ts";
import { findSources } from "../data/sources.ts";
import { declaration } from "../evaluate/declaration.ts";

/** @param named paths, `udhr`, or `udhr:swa,deu` @throws LolaError, DataError */
export async function* textsOf(named: readonly string[]): AsyncGenerator<Document> {
  for (const name of named) {
    const [, codes] = /^udhr(?::(.+))?$/.exec(name) ?? [];
    if (codes !== undefined || name === "udhr") yield* await declaration(codes?.split(","));
    else yield* filesOf([name]);
  }
}

/** @throws LolaError, DataError */
export async function* filesOf(paths: readonly string[]): AsyncGenerator<Document> {
  yield* readDocuments(await findSources(paths, join(places().cache, "tokens")));
}
