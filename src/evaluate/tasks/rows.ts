/** The rows of a task's splits: files of a folder by their names, or the one file that is given. */
import { basename, join, relative, sep } from "node:path";
import { DataError, LolaError } from "../../base/errors.ts";
import { type ExampleFormat, exampleFormats, readRows } from "../../data/formats/read.ts";
import { findSources, type Source } from "../../data/sources.ts";
import type { Task } from "./task.ts";
import type { Row } from "./template.ts";

/** Where rows are looked for. */
export class TaskData {
  private constructor(
    private readonly label: string,
    /** By path within the folder, without endings; of one file, only the file. */
    private readonly files: ReadonlyMap<string, Source<ExampleFormat>>,
    private readonly only: boolean,
  ) {}

  /**
   * @param path a folder, or a file of JSONL, JSON, CSV, TSV or Parquet, also with .gz or .zst
   * @throws LolaError "usage" where there is no such path; DataError "data.empty" for a folder without such files
   */
  static async open(path: string, cacheFolder: string): Promise<TaskData> {
    const sources = await findSources([path], cacheFolder, undefined, exampleFormats);
    const tables = sources.filter(({ format }) => format !== "text");
    if (tables.length === 0) throw new DataError("data.empty", `${path}: no rows`, "JSONL, JSON, CSV, TSV or Parquet");
    const only = tables.length === 1 && tables[0]!.path === path;
    return new TaskData(path, new Map(tables.map((source) => [stemOf(relative(path, source.path)), source])), only);
  }

  /** The rows of one split. @throws LolaError "usage" where there is no file for it; DataError as the readers of formats */
  async rows(task: Task, split: string): Promise<Row[]> {
    const names = namesOf(task, split);
    const found = this.only ? [...this.files.values()][0] : names.map((name) => this.files.get(name)).find(Boolean);
    if (!found) {
      const says = `${task.name}: no rows of split ${split} in ${this.label}`;
      throw new LolaError("usage", says, `a file ${names.map((name) => `${name}.jsonl`).join(" or ")}`);
    }
    return await readAll(found);
  }
}

/**
 * The rows of a split that the task's own file names, by `dataset_kwargs: {data_files: …}`, its path from that file's folder;
 * undefined where it names none.
 */
export async function ownRows(task: Task, split: string, cacheFolder: string): Promise<Row[] | undefined> {
  const file = task.dataset.files[split] ?? task.dataset.files[""];
  if (file === undefined) return undefined;
  const [source] = await findSources([join(task.folder ?? "", file)], cacheFolder, undefined, exampleFormats);
  return await readAll(source!);
}

/** What a split's file may be called, the likeliest first. */
function namesOf({ name, dataset }: Task, split: string): string[] {
  const folder = dataset.path && basename(dataset.path);
  return [
    `${name}/${split}`,
    name,
    ...(folder && dataset.name ? [`${folder}/${dataset.name}/${split}`, `${folder}/${dataset.name}`] : []),
    ...(dataset.name ? [`${dataset.name}/${split}`] : []),
  ];
}

/** `et/test.jsonl.gz` → `et/test`. */
const stemOf = (path: string): string =>
  path
    .split(sep)
    .join("/")
    .replace(/\.(gz|zst)$/i, "")
    .replace(/\.[^./]*$/, "");

async function readAll(source: Source<ExampleFormat>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const { values, where } of readRows(source))
    for (const [i, value] of values.entries()) {
      if (typeof value !== "object" || value === null || Array.isArray(value))
        throw new DataError("task.row", `${where(i)}: not a row with columns`, '{"question": "…", "answer": "…"}');
      rows.push(value as Row);
    }
  if (rows.length === 0) throw new DataError("data.empty", `${source.label}: no rows`);
  return rows;
}
