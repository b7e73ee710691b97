/** How often each pre-token occurs in a corpus: counted by its UTF-16 units in flat memory, so that no text is kept alive. */

import { widened } from "./pairs.ts";
import { preTokenEnd } from "./pretokenize.ts";

export class PieceCounts {
  /** slot → entry + 1, or 0; never more than half full. */
  private slots = new Int32Array(1 << 16);
  private hashes = new Int32Array(1 << 15);
  /** Entry e owns units[starts[e], starts[e + 1]). */
  private starts = new Int32Array((1 << 15) + 1);
  private weights = new Float64Array(1 << 15);
  private units = new Uint16Array(1 << 20);
  private readonly decoder = new TextDecoder("utf-16le", { ignoreBOM: true });
  private readonly encoder = new TextEncoder();
  /** Different pre-tokens. */
  size = 0;

  /** Counts the pre-tokens of a text `weight` times. */
  add(text: string, weight: number): void {
    for (let start = 0, end: number; start < text.length; start = end) {
      end = preTokenEnd(text, start, text.length);
      // In two steps: a new entry may bring a longer array.
      const entry = this.entryOf(text, start, end);
      this.weights[entry]! += weight;
    }
  }

  /** Weight of entry `e`: how often it occurred. */
  weight(e: number): number {
    return this.weights[e]!;
  }

  /** Writes the UTF-8 bytes of entry `e`; a lone surrogate is U+FFFD. @returns how many */
  writeBytes(e: number, into: Uint8Array): number {
    const text = this.decoder.decode(this.units.subarray(this.starts[e]!, this.starts[e + 1]!));
    return this.encoder.encodeInto(text, into).written;
  }

  /** Bytes that no entry exceeds: three for each UTF-16 unit of the longest. */
  get longestBytes(): number {
    let longest = 0;
    for (let e = 0; e < this.size; e++) longest = Math.max(longest, this.starts[e + 1]! - this.starts[e]!);
    return 3 * longest;
  }

  private entryOf(text: string, start: number, end: number): number {
    let hash = end - start;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995) ^ (hash >>> 15);
    hash ^= hash >>> 13;
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = this.slots[slot]! - 1;
      if (this.hashes[entry] === hash && this.holds(entry, text, start, end)) return entry;
    }
    const entry = this.append(text, start, end, hash);
    this.slots[slot] = entry + 1;
    if (2 * this.size > this.slots.length) this.rehash();
    return entry;
  }

  private holds(entry: number, text: string, start: number, end: number): boolean {
    const from = this.starts[entry]!;
    if (this.starts[entry + 1]! - from !== end - start) return false;
    for (let i = start; i < end; i++) if (this.units[from + i - start] !== text.charCodeAt(i)) return false;
    return true;
  }

  private append(text: string, start: number, end: number, hash: number): number {
    const entry = this.size++;
    if (entry === this.hashes.length) {
      this.hashes = widened(this.hashes);
      this.weights = widened(this.weights);
      this.starts = widened(this.starts, 2 * entry + 1);
    }
    let at = this.starts[entry]!;
    if (at + end - start > this.units.length) {
      this.units = widened(this.units, Math.max(2 * this.units.length, at + end - start));
    }
    for (let i = start; i < end; i++) this.units[at++] = text.charCodeAt(i);
    this.hashes[entry] = hash;
    this.starts[entry + 1] = at;
    return entry;
  }

  private rehash(): void {
    this.slots = new Int32Array(2 * this.slots.length);
    const mask = this.slots.length - 1;
    for (let entry = 0; entry < this.size; entry++) {
      let slot = this.hashes[entry]! & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = entry + 1;
    }
  }
}
