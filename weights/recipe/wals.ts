/** The World Atlas of Language Structures, out of an R table that has the atlas's own codes and names of languages. */
import { DataError } from "../../src/base/errors.ts";
import type { RObject } from "./rda.ts";

export interface WalsLanguage {
  /** The atlas's own. */
  code: string;
  name: string;
  genus: string;
  family: string;
  latitude: number;
  longitude: number;
  /** A character for each feature of the table: its value in base 36, or `.`. */
  features: string;
}

export interface Wals {
  /** Numbers of the features: "81A". */
  features: string[];
  languages: WalsLanguage[];
}

/** @throws DataError `wals.format` if the table is not the one that this was written for */
export function readWals(table: RObject): Wals {
  const { data, meta } = columnsOf(table);
  if (!data || !meta) throw new DataError("wals.format", "the tables of features and of languages are not there");
  const [features, about] = [columnsOf(data), columnsOf(meta)];
  const codes = meta.attributes["row.names"]?.values as string[];
  const { name, genus, family, latitude, longitude } = about;
  if (!name || !genus || !family || !latitude || !longitude)
    throw new DataError("wals.format", `columns of languages: ${Object.keys(about).join(" ")}`);
  const values = Object.values(features).map(labels);
  const [genera, families] = [labels(genus), labels(family)];
  return {
    features: Object.keys(features).map((column) => column.replace(/^X(\d+[A-Z]).*/, "$1")),
    languages: codes.map((code, i) => ({
      code,
      name: name.values[i] as string,
      genus: genera[i]!,
      family: families[i]!,
      latitude: latitude.values[i] as number,
      longitude: longitude.values[i] as number,
      features: values
        .map((column) => column[i]?.replace(/ .*/s, "") ?? "")
        .map(digit)
        .join(""),
    })),
  };
}

function columnsOf(table: RObject): Record<string, RObject> {
  const names = (table.attributes.names?.values ?? []) as string[];
  return Object.fromEntries(names.map((name, i) => [name, table.values[i] as RObject]));
}

/** A factor's values as text. */
function labels({ values, attributes }: RObject): (string | undefined)[] {
  const levels = attributes.levels?.values as string[];
  return values.map((value) => (value === null ? undefined : levels[(value as number) - 1]));
}

function digit(number: string): string {
  return number === "" ? "." : Number(number).toString(36);
}
