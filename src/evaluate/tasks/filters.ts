/** What is taken out of a generated answer before it is compared: the harness's `filter_list`. */
import { LolaError } from "../../base/errors.ts";

/** Filters in order, under the name that their result is told by. */
export interface FilterChain {
  name: string;
  apply(answer: string): string;
}

interface Step {
  function?: unknown;
  regex_pattern?: unknown;
  group_select?: unknown;
  fallback?: unknown;
}

type Filter = (answer: string) => string;

/** @throws LolaError "usage" for a filter that there is not, or a pattern that is none */
export function parseFilters(list: unknown, task: string): FilterChain[] {
  if (list === undefined || list === null) return [{ name: "none", apply: (answer) => answer }];
  const refused = (says: string) => new LolaError("usage", `${task}: field filter_list: ${says}`, known);
  if (!Array.isArray(list) || list.length === 0) throw refused("not a list of filters");
  return list.map((chain: { name?: unknown; filter?: unknown }) => {
    if (typeof chain?.name !== "string" || !Array.isArray(chain.filter))
      throw refused("a filter needs name and filter");
    const filters = chain.filter.map((step: Step) => {
      try {
        return filterOf(step);
      } catch (cause) {
        throw refused(cause instanceof Error ? cause.message : String(cause));
      }
    });
    return { name: chain.name, apply: (answer) => filters.reduce((text, filter) => filter(text), answer) };
  });
}

const known = "regex, remove_whitespace, lowercase, uppercase, take_first";

function filterOf(step: Step): Filter {
  switch (step?.function) {
    case "regex":
      return regexFilter(step);
    case "remove_whitespace":
      return (answer) => answer.trimStart();
    case "lowercase":
      return (answer) => answer.toLowerCase();
    case "uppercase":
      return (answer) => answer.toUpperCase();
    // There is one answer.
    case "take_first":
      return (answer) => answer;
    default:
      throw new Error(`no filter ${JSON.stringify(step?.function)}`);
  }
}

/** Of all that the pattern finds, the `group_select`-th (−1: the last); of groups, the first that is not empty. */
function regexFilter({ regex_pattern, group_select, fallback }: Step): Filter {
  const pattern = new RegExp(typeof regex_pattern === "string" ? regex_pattern : "#### (\\-?[0-9\\.\\,]+)", "g");
  const nothing = typeof fallback === "string" ? fallback : "[invalid]";
  const select = typeof group_select === "number" ? group_select : 0;
  return (answer) => {
    const match = [...answer.matchAll(pattern)].at(select);
    if (!match) return nothing;
    const found = match.length === 1 ? match[0] : match.slice(1).find((group) => group);
    return found === undefined ? (match.length > 2 ? nothing : "") : found.trim();
  };
}
