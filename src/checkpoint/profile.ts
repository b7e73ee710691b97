/** Routing profiles: how many tokens of each language each expert saw. */
import { DataError } from "../base/errors.ts";
import { type ModelConfig, moeLayers } from "./config.ts";
import { asCount, asList, asString } from "./fields.ts";

/** Tokens that each expert saw, [MoE layer][expert]; in each layer they add up to all tokens of the language. */
export type ExpertCounts = readonly (readonly number[])[];

/** By language, as texts are labelled: "swa". */
export type RoutingProfile = ReadonlyMap<string, ExpertCounts>;

/** As a header lists it, languages in ascending order. */
type ProfileRow = [language: string, counts: ExpertCounts];

const languagePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

/** What a header holds of it. */
export function encodeProfile(profile: RoutingProfile): ProfileRow[] {
  return Array.from(profile).sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * A profile that came from a file.
 * @throws DataError "routing.profile"
 */
export function readProfile(value: unknown, config: ModelConfig): RoutingProfile {
  const layers = moeLayers(config).length;
  const profile = new Map<string, ExpertCounts>();
  let last = "";
  for (const row of asList(value, "routing")) {
    const [name, lists] = asList(row, "routing", 2);
    const language = asString(name, "routing: language");
    if (!languagePattern.test(language) || language <= last)
      throw wrong(`${JSON.stringify(language.slice(0, 40))} after ${JSON.stringify(last)}`);
    last = language;
    const counts = asList(lists, `routing of ${language}`).map((list) =>
      asList(list, `routing of ${language}`).map((count) => asCount(count, `routing of ${language}`)),
    );
    const sums = counts.map(sum);
    if (counts.length !== layers || counts.some((list) => list.length !== config.experts))
      throw wrong(`${language} has no ${layers} layers of ${config.experts} experts`);
    if (sums.some((tokens) => tokens === 0 || tokens !== sums[0]))
      throw wrong(`${language} has ${[...new Set(sums)].join(" and ")} tokens`);
    profile.set(language, counts);
  }
  if (profile.size === 0 || layers === 0) throw wrong("nothing is in it");
  return profile;
}

/** Share of a layer's tokens that each expert sees: [MoE layer · experts], each layer's sum 1. */
export function sharesOf(counts: ExpertCounts): Float64Array {
  return Float64Array.from(
    counts.flatMap((layer) => {
      const tokens = sum(layer);
      return layer.map((count) => count / tokens);
    }),
  );
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

function wrong(what: string): DataError {
  return new DataError("routing.profile", `routing profile: ${what}`);
}
