/** Reads what R's `save` writes, as far as tables need: "Serialization Formats" of https://cran.r-project.org/doc/manuals/r-release/R-ints.html */
import { DataError } from "../../src/base/errors.ts";

/** A vector, list or factor with its attributes (`names`, `levels`, `row.names` …). */
export interface RObject {
  /** `null` for NA. A factor's are numbers from 1 into its `levels`. */
  values: readonly (RObject | string | number | null)[];
  attributes: Readonly<Record<string, RObject>>;
}

/** R's numbers of the types that occur in tables. */
const types = { symbol: 1, pairs: 2, characters: 9, logical: 10, integer: 13, real: 14, strings: 16, list: 19 };
const [endOfPairs, reference] = [254, 255];
const [hasAttributes, hasTag] = [0x200, 0x400];
const missingInteger = -(2 ** 31);

/**
 * @param bytes an uncompressed .rda file in R's binary form (XDR), of version 2 or 3
 * @returns the saved variables by name
 * @throws DataError `rda.format` for another kind of file, a cut one, or a type that tables do not have
 */
export function parseRda(bytes: Uint8Array): Record<string, RObject> {
  const magic = new TextDecoder().decode(bytes.subarray(0, 7));
  if (!/^RDX[23]\nX\n$/.test(magic))
    throw new DataError("rda.format", `not an .rda file: it begins with ${JSON.stringify(magic)}`);
  try {
    return new Reader(bytes, magic.length).variables();
  } catch (error) {
    if (error instanceof RangeError) throw new DataError("rda.format", `the file is cut at ${bytes.length} bytes`);
    throw error;
  }
}

class Reader {
  private readonly view: DataView;
  /** Names read so far: later uses refer to them by number, from 1. */
  private readonly symbols: string[] = [];

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  variables(): Record<string, RObject> {
    const version = this.integer();
    this.at += 8;
    const encoding = version === 3 ? this.integer() : 0;
    this.at += encoding;
    return this.pairs(this.integer());
  }

  private integer(): number {
    this.at += 4;
    return this.view.getInt32(this.at - 4);
  }

  private real(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8);
  }

  private string(): string | null {
    this.expect(this.integer(), types.characters);
    const length = this.integer();
    if (length < 0) return null;
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError();
    return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
  }

  private symbol(): string {
    const flags = this.integer();
    if ((flags & 255) === reference) return this.symbols[(flags >> 8) - 1]!;
    this.expect(flags, types.symbol);
    const name = this.string() ?? "NA";
    this.symbols.push(name);
    return name;
  }

  /** A chain of tagged objects, from the flags of its first link. */
  private pairs(first: number): Record<string, RObject> {
    const found: Record<string, RObject> = {};
    for (let flags = first; (flags & 255) !== endOfPairs; flags = this.integer()) {
      this.expect(flags & ~hasTag, types.pairs);
      const name = this.symbol();
      found[name] = this.object();
    }
    return found;
  }

  private object(): RObject {
    const flags = this.integer();
    const read = this.element(flags & 255);
    const values = Array.from({ length: this.integer() }, read);
    return { values, attributes: flags & hasAttributes ? this.pairs(this.integer()) : {} };
  }

  /** How one element of a vector of this type is read. */
  private element(type: number): () => RObject["values"][number] {
    switch (type) {
      case types.logical:
      case types.integer:
        return () => {
          const value = this.integer();
          return value === missingInteger ? null : value;
        };
      case types.real:
        return () => {
          const value = this.real();
          return Number.isNaN(value) ? null : value;
        };
      case types.strings:
        return () => this.string();
      case types.list:
        return () => this.object();
      default:
        throw new DataError("rda.format", `type ${type} at byte ${this.at - 4} is not one that tables have`);
    }
  }

  private expect(flags: number, type: number): void {
    if ((flags & 255) !== type || flags & hasAttributes)
      throw new DataError("rda.format", `type ${flags & 255} at byte ${this.at - 4}, not ${type}`);
  }
}
