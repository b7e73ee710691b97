/** Parquet: the known columns, a row group at a time. */
import { brotliDecompressSync } from "node:zlib";
import { type Compressors, type FileMetaData, parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { DataError } from "../../base/errors.ts";
import { kindOf, knownKeys } from "../kinds.ts";
import { type Readable, readWhole } from "../lines.ts";
import type { Rows } from "./rows.ts";

/** Snappy is hyparquet's own; LZO and LZ4 are hardly used. */
const compressors: Compressors = {
  GZIP: (bytes) => Bun.gunzipSync(bytes as Uint8Array<ArrayBuffer>),
  ZSTD: (bytes) => new Uint8Array(Bun.zstdDecompressSync(bytes as Uint8Array<ArrayBuffer>)),
  BROTLI: (bytes) => new Uint8Array(brotliDecompressSync(bytes)),
};

/**
 * Rows as objects, of the columns that mean something.
 * @throws DataError as readWhole, and data.parquet, data.keys
 */
export async function* readParquet(source: Readable): AsyncGenerator<Rows> {
  const { label } = source;
  const file = (await readWhole(source)).slice().buffer as ArrayBuffer;
  if (file.byteLength === 0) return;
  const guarded = async <T>(where: string, read: () => T | Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (cause) {
      const says = `${where}: cannot be read as Parquet: ${(cause as Error).message}`;
      throw new DataError("data.parquet", says, "the file written anew, or as JSONL", { cause });
    }
  };
  const metadata: FileMetaData = await guarded(label, () => parquetMetadata(file));
  const keys = parquetSchema(metadata).children.map(({ element }) => element.name);
  kindOf(keys, () => `${label}, columns`);
  const columns = keys.filter((key) => knownKeys.includes(key));
  let rowStart = 0;
  for (const [group, { num_rows }] of metadata.row_groups.entries()) {
    const first = rowStart;
    const where = (i: number) => `${label} row ${first + i + 1} (row group ${group + 1})`;
    const rowEnd = rowStart + Number(num_rows);
    yield {
      values: await guarded(`${label} row group ${group + 1}`, () =>
        parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, compressors }),
      ),
      where,
    };
    rowStart = rowEnd;
  }
}
