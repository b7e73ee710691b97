/** `bun weights/recipe/fetch.ts OUT`: downloads the corpus's packages from Debian and unpacks their message files. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { $ } from "bun";
import { sha256 } from "../../src/base/hash.ts";
import { families } from "./families.ts";

/** What was fetched: enough to tell whether another run had the same input. */
interface Source {
  family: string;
  package: string;
  version: string;
  bytes: number;
  sha256: string;
  licence: string;
}

const release = "bookworm";
const recorded = join(import.meta.dir, "sources.json");

const out = process.argv[2];
if (!out) {
  console.error(
    "usage: bun weights/recipe/fetch.ts OUT (needs apt-get, dpkg-deb and tar: Debian or a container of it)",
  );
  process.exit(2);
}
const [packages, unpacked] = [resolve(out, "packages"), resolve(out, "unpacked")];
mkdirSync(packages, { recursive: true });
rmSync(unpacked, { recursive: true, force: true });

const sources: Source[] = [];
for (const family of families) {
  const names = family.packages.endsWith("*")
    ? (await $`apt-cache search --names-only ${`^${family.packages.slice(0, -1)}`}`.text())
        .split("\n")
        .map((line) => line.split(" ")[0]!)
        .filter((name) => name.startsWith(family.packages.slice(0, -1)) && !name.endsWith("-all"))
    : [family.packages];
  await $`apt-get download -q=2 -t ${release} ${names}`.cwd(packages);
  for (const file of readdirSync(packages).sort()) {
    const [name, version] = file.split("_") as [string, string];
    if (!names.includes(name)) continue;
    const path = join(packages, file);
    const folder = join(unpacked, family.name, name);
    mkdirSync(folder, { recursive: true });
    await $`dpkg-deb --fsys-tarfile ${path} | tar -x -C ${folder} --wildcards ${family.files}`.nothrow().quiet();
    const bytes = await Bun.file(path).bytes();
    const { licence } = family;
    sources.push({
      family: family.name,
      package: name,
      version: decodeURIComponent(version),
      bytes: bytes.length,
      sha256: sha256(bytes),
      licence,
    });
  }
  const ours = sources.filter((source) => source.family === family.name);
  const megabytes = ours.reduce((sum, source) => sum + source.bytes, 0) / 1e6;
  console.error(`${family.name}: ${ours.length} packages, ${megabytes.toFixed(1)} MB`);
}
await Bun.write(join(out, "sources.json"), `${JSON.stringify(sources, null, 1)}\n`);

const before = new Map<string, Source>(
  (await Bun.file(recorded).exists())
    ? ((await Bun.file(recorded).json()) as Source[]).map((source) => [source.package, source])
    : [],
);
const changed = sources.filter((source) => before.get(source.package)?.sha256 !== source.sha256).length;
console.error(`${sources.length} packages, ${changed} other than those that ${recorded} records`);
