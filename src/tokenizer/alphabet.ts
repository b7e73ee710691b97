/** GPT-2's byte alphabet: one printable character for each of the 256 bytes, in which vocabularies spell their tokens. */

/** Bytes that stand for themselves: printable Latin-1 without the space, the no-break space and the soft hyphen. */
function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/** byte → its character; the other 68 bytes are U+0100, U+0101, … in ascending order. */
export const byteCharacters: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();

const characterBytes = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** Spelling in the alphabet → bytes, or undefined where a character is not of the alphabet. */
export function spelledBytes(spelling: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelling.length);
  for (let i = 0; i < spelling.length; i++) {
    const byte = characterBytes.get(spelling[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
