/** The work of `lola eval compare`. */
import { LolaError } from "../base/errors.ts";
import { type Differences, differencesOf } from "../evaluate/differences.ts";
import { readResults } from "../evaluate/results.ts";
import type { Context } from "./context.ts";
import { saveDifferences } from "./eval-csv.ts";
import type { EvalFlags } from "./eval-flags.ts";

/** @throws LolaError "usage" for other than two results on the same samples; DataError for other files */
export async function compareResults({ args, flags }: Context<Pick<EvalFlags, "csv">>): Promise<Differences> {
  const [first, second, ...more] = args;
  if (first === undefined || second === undefined || more.length > 0)
    throw new LolaError("usage", `compare takes two results, not ${args.length}`, "lola eval compare a.json b.json");
  const differences = differencesOf(readResults(first), readResults(second));
  if (flags.csv !== undefined) await saveDifferences(flags.csv, differences);
  return differences;
}
