/**
 * GPT-2's pre-tokenization: where text is cut before byte pairs are merged (spec §2.2). By hand, the regular expression
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * with Unicode's White_Space as \s: JavaScript's own class lacks U+0085 and adds U+FEFF.
 */

const OTHER = 1;
const LETTER = 2;
const NUMBER = 3;
const SPACE = 4;

/** Class of every code point met so far; 0 is "not met yet". */
const classes = new Uint8Array(0x110000);

/** White_Space, all in the basic plane. */
const whitespace = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function classify(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  const found = whitespace.test(character)
    ? SPACE
    : /\p{L}/u.test(character)
      ? LETTER
      : /\p{N}/u.test(character)
        ? NUMBER
        : OTHER;
  classes[codePoint] = found;
  return found;
}

/** Class of the character at UTF-16 index i, which is below `text.length`. A lone surrogate is OTHER, as U+FFFD is. */
function classAt(text: string, i: number): number {
  let codePoint = text.charCodeAt(i);
  if ((codePoint & 0xf800) === 0xd800) codePoint = text.codePointAt(i)!;
  return classes[codePoint] || classify(codePoint);
}

/** Whether the UTF-16 unit at i is White_Space. */
export function isWhitespace(text: string, i: number): boolean {
  return classAt(text, i) === SPACE;
}

/** End of the run of one class that starts at i. */
function runEnd(text: string, i: number, end: number, wanted: number): number {
  while (i < end) {
    let codePoint = text.charCodeAt(i);
    let units = 1;
    if ((codePoint & 0xf800) === 0xd800) {
      codePoint = text.codePointAt(i)!;
      if (codePoint > 0xffff) units = 2;
    }
    if ((classes[codePoint] || classify(codePoint)) !== wanted) break;
    i += units;
  }
  return i;
}

const S = 0x73;
const T = 0x74;
const M = 0x6d;
const D = 0x64;
const R = 0x72;
const V = 0x76;
const L = 0x6c;
const E = 0x65;

/** Length of the English contraction at i, where an apostrophe stands, or 0. */
function contraction(text: string, i: number, end: number): number {
  if (i + 1 >= end) return 0;
  const first = text.charCodeAt(i + 1);
  if (first === S || first === T || first === M || first === D) return 2;
  if (i + 2 >= end) return 0;
  const second = text.charCodeAt(i + 2);
  return ((first === R || first === V) && second === E) || (first === L && second === L) ? 3 : 0;
}

/**
 * End (UTF-16 index) of the pre-token that starts at `start` in text[0, end), start < end.
 * A caller that begins at 0 and goes on from each end cuts the text as the regular expression does, in linear time.
 */
export function preTokenEnd(text: string, start: number, end: number): number {
  const first = text.charCodeAt(start);
  if (first === 0x27) {
    const length = contraction(text, start, end);
    if (length > 0) return start + length;
  }
  let i = start;
  let found = classAt(text, i);
  if (first === 0x20 && i + 1 < end) {
    const next = classAt(text, i + 1);
    if (next !== SPACE) {
      i++;
      found = next;
    }
  }
  const stop = runEnd(text, i, end, found);
  // The last of several spaces before a word belongs to that word's pre-token, or stands alone.
  return found === SPACE && stop < end && stop - start > 1 ? stop - 1 : stop;
}
