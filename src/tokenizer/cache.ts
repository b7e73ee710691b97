/** A bounded map from pre-tokens to their ids. It keeps copies: a slice as a key would keep its whole text alive. */

const SLOTS = 1 << 16;
const ENTRIES = SLOTS / 2;
const UNITS = 1 << 19;
const IDS = 1 << 18;
/** Longer pre-tokens seldom come twice, in UTF-16 units. */
const LONGEST = 64;
/** Slots looked at before giving up, so that text made to collide costs no more than text that misses. */
const PROBES = 32;

/** About 4 MiB whatever is encoded: it starts afresh when full. */
export class PieceCache {
  /** slot → entry + 1, or 0. */
  private readonly slots = new Int32Array(SLOTS);
  private readonly hashes = new Int32Array(ENTRIES);
  /** Entry e owns units[unitStarts[e], unitStarts[e + 1]) and ids[idStarts[e], idStarts[e + 1]). */
  private readonly unitStarts = new Int32Array(ENTRIES + 1);
  private readonly idStarts = new Int32Array(ENTRIES + 1);
  private readonly units = new Uint16Array(UNITS);
  readonly ids = new Uint32Array(IDS);
  private entries = 0;
  private hash = 0;
  private slot = 0;

  /** Entry of text[start, end), or -1; then `add` may follow. */
  find(text: string, start: number, end: number): number {
    const length = end - start;
    if (length > LONGEST) return -1;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 15);
    hash ^= hash >>> 13;
    this.hash = hash;
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (hash + probe) & (SLOTS - 1);
      const entry = this.slots[slot]! - 1;
      if (entry < 0) {
        this.slot = slot;
        return -1;
      }
      if (this.hashes[entry] === hash && this.holds(entry, text, start, length)) return entry;
    }
    this.slot = -1;
    return -1;
  }

  private holds(entry: number, text: string, start: number, length: number): boolean {
    const from = this.unitStarts[entry]!;
    if (this.unitStarts[entry + 1]! - from !== length) return false;
    for (let i = 0; i < length; i++) if (this.units[from + i] !== text.charCodeAt(start + i)) return false;
    return true;
  }

  /** Keeps ids[from, to) for text[start, end), which `find` has just not found. */
  add(text: string, start: number, end: number, ids: Uint32Array, from: number, to: number): void {
    const length = end - start;
    if (length > LONGEST || this.slot < 0) return;
    const unitStart = this.unitStarts[this.entries]!;
    const idStart = this.idStarts[this.entries]!;
    if (this.entries === ENTRIES || unitStart + length > UNITS || idStart + to - from > IDS) {
      this.slots.fill(0);
      this.entries = 0;
      return;
    }
    for (let i = 0; i < length; i++) this.units[unitStart + i] = text.charCodeAt(start + i);
    for (let i = from; i < to; i++) this.ids[idStart + i - from] = ids[i]!;
    this.hashes[this.entries] = this.hash;
    this.slots[this.slot] = ++this.entries;
    this.unitStarts[this.entries] = unitStart + length;
    this.idStarts[this.entries] = idStart + to - from;
  }

  idStart(entry: number): number {
    return this.idStarts[entry]!;
  }

  idEnd(entry: number): number {
    return this.idStarts[entry + 1]!;
  }
}
