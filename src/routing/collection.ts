/** What `lola routing collect` found: how each language's tokens were spread over the experts of each layer. */
import type { ExpertCounts } from "../checkpoint/profile.ts";

/** Of one language; [layer] means one entry a MoE layer, in order. */
export interface LanguageRouting {
  /** As the texts are labelled: "swa", "srp_Latn". */
  language: string;
  documents: number;
  /** UTF-8. */
  bytes: number;
  /** Real tokens; each layer's counts add up to them. */
  tokens: number;
  /** Tokens sent to each expert. */
  counts: ExpertCounts;
  /** Mean probability that the gate gave each expert, chosen or not: [layer][expert], each layer's sum 1. */
  probability: readonly (readonly number[])[];
  /** Mean entropy of a token's gate distribution, nats: [layer]. */
  entropy: readonly number[];
  /** What each expert took most, the most typical first: [layer][expert]. */
  favourites: readonly (readonly (readonly Favourite[])[])[];
  /** The tokens that occurred most, and how often, in descending order: by them languages are alike before any expert sees them. */
  common: readonly (readonly [token: number, count: number])[];
}

/** A token of the vocabulary and an expert that sees much of it. */
export interface Favourite {
  token: number;
  /** Decoded; bytes that are no text by themselves as "<E2>". */
  text: string;
  /** Times that the expert saw it in this language, and times that it occurred at all. */
  count: number;
  of: number;
}

export interface Collection {
  /** Of the file's layout: 1. */
  format: 1;
  /** Version of lola. */
  version: string;
  model: { label: string; identity: string };
  /** Where the texts were, as named. */
  texts: string;
  experts: number;
  /** Transformer layers that are mixtures, 0-based: [1, 3, 5]. */
  layers: readonly number[];
  /** In ascending order of `language`, each once. */
  languages: readonly LanguageRouting[];
}
