/** The six families of Debian packages that the corpus is made of, cleanest and broadest first. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { strFromU8, unzipSync } from "fflate";
import { parseFluent } from "./fluent.ts";
import { parseMediawiki } from "./mediawiki.ts";
import type { Message } from "./message.ts";
import { parseMo } from "./mo.ts";
import { parseProperties } from "./properties.ts";

/** Messages of one file, in its order. */
export interface MessageFile {
  /** Named alike in all languages. */
  name: string;
  messages: Message[];
}

/** One language's part of a family: a file, or an archive of files, read when it is needed. */
export interface Catalogue {
  family: string;
  /** As the program names the language. */
  locale: string;
  /** Whether its messages are wikitext. */
  wiki: boolean;
  read(): MessageFile[];
}

export interface Family {
  name: string;
  /** A Debian package, or the beginning of the names of several. */
  packages: string;
  /** As the packages' own copyright files say it. */
  licence: string;
  /** Which files of a package are kept, as a pattern of tar. */
  files: string;
  catalogues(folder: string): Catalogue[];
}

/** A line that several families have goes to the first of them. */
export const families: readonly Family[] = [
  {
    name: "mediawiki",
    packages: "mediawiki",
    licence: "GPL-2.0-or-later (some extensions MIT, BSD, Apache-2.0); translations by translatewiki.net",
    files: "*/i18n/*.json",
    catalogues: (folder) =>
      find(folder, "**/i18n/**/*.json").map((path) => ({
        family: "mediawiki",
        locale: basename(path, ".json"),
        wiki: true,
        read: () => [
          {
            name: path.slice(folder.length, -basename(path).length),
            messages: parseMediawiki(readFileSync(path, "utf8")),
          },
        ],
      })),
  },
  {
    name: "firefox",
    packages: "firefox-esr-l10n-*",
    licence: "MPL-2.0",
    files: "*.xpi",
    catalogues: (folder) =>
      find(folder, "**/*.xpi").map((path) => {
        const locale = /langpack-(.+?)@/.exec(basename(path))?.[1] ?? "";
        // Firefox has no package for American English: the British one stands for English.
        return {
          family: "firefox",
          locale: locale === "en-GB" ? "en" : locale,
          wiki: false,
          read: () => readLangpack(path, locale),
        };
      }),
  },
  gettext("libreoffice", "libreoffice-l10n-*", "MPL-2.0 (parts LGPL-3.0-or-later, Apache-2.0)"),
  gettext("vlc", "vlc-l10n", "GPL-2.0-or-later"),
  gettext("cinnamon", "cinnamon-l10n", "GPL-2.0-or-later"),
  gettext("inkscape", "inkscape", "GPL-2.0-or-later"),
];

/** A family of compiled gettext catalogues. English is the text that the largest catalogue of each program translates. */
function gettext(family: string, packages: string, licence: string): Family {
  const catalogue = (path: string, locale: string, message: (message: Message) => Message): Catalogue => ({
    family,
    locale,
    wiki: false,
    read: () => [{ name: basename(path, ".mo"), messages: parseMo(readFileSync(path)).map(message) }],
  });
  return {
    name: family,
    packages,
    licence,
    files: "*.mo",
    catalogues: (folder) => {
      const paths = find(folder, "**/LC_MESSAGES/*.mo");
      const largest = new Map<string, string>();
      for (const path of paths) {
        const other = largest.get(basename(path));
        if (!other || Bun.file(path).size > Bun.file(other).size) largest.set(basename(path), path);
      }
      return [
        ...[...largest.values()].map((path) => catalogue(path, "en", (message) => ({ ...message, text: message.key }))),
        ...paths.map((path) => catalogue(path, basename(join(path, "../..")), (message) => message)),
      ];
    },
  };
}

/** @returns paths of files under `folder`, sorted, so that every run reads them in the same order */
function find(folder: string, pattern: string): string[] {
  if (!existsSync(folder)) return [];
  return [...new Bun.Glob(pattern).scanSync({ cwd: folder, absolute: true })].sort();
}

/** The .ftl and .properties files of a Firefox language pack; brand names are read first, because others refer to them. */
function readLangpack(path: string, locale: string): MessageFile[] {
  const entries = unzipSync(readFileSync(path), { filter: ({ name }) => /\.(?:ftl|properties)$/.test(name) });
  const terms = new Map<string, string>();
  const rank = (name: string) => (/brand/.test(name) ? 0 : 1);
  const names = Object.keys(entries).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return names.map((name) => {
    const source = strFromU8(entries[name]!);
    const messages = name.endsWith(".ftl") ? parseFluent(source, terms) : parseProperties(source);
    return { name: name.replaceAll(`/${locale}/`, "/*/"), messages };
  });
}
