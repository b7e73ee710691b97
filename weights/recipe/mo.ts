/** Reads compiled gettext catalogues (.mo): https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html */
import { DataError } from "../../src/base/errors.ts";
import type { Message } from "./message.ts";

/** Between a message's context and its English text. */
const contextEnd = "\x04";
/** Between the plural forms of a message. */
const formEnd = "\0";

/**
 * @param bytes a whole .mo file, of either byte order; text is UTF-8
 * @returns its messages in file order (sorted by context and English text), each with its last plural form (the form
 *   for "many", in every language), English as the key; the header is left out
 * @throws DataError `mo.format` if this is no .mo file or a table points outside it
 */
export function parseMo(bytes: Uint8Array): Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes.length >= 28 && view.getUint32(0, true) === 0x950412de;
  if (!little && (bytes.length < 28 || view.getUint32(0, false) !== 0x950412de)) {
    throw new DataError("mo.format", `not a .mo file: ${bytes.length} bytes without its magic number`);
  }
  const count = view.getUint32(8, little);
  const [originals, translations] = [view.getUint32(12, little), view.getUint32(16, little)];
  if (Math.max(originals, translations) + 8 * count > bytes.length) {
    throw new DataError("mo.format", `a table of ${count} messages does not fit into ${bytes.length} bytes`);
  }
  const decoder = new TextDecoder();
  const text = (table: number, i: number) => {
    const [length, start] = [view.getUint32(table + 8 * i, little), view.getUint32(table + 8 * i + 4, little)];
    if (start + length > bytes.length) {
      throw new DataError("mo.format", `message ${i} ends at ${start + length}, the file at ${bytes.length}`);
    }
    return decoder.decode(bytes.subarray(start, start + length));
  };
  const messages: Message[] = [];
  for (let i = 0; i < count; i++) {
    const forms = text(originals, i).split(contextEnd).at(-1)!.split(formEnd);
    if (forms[0] === "") continue;
    const translated = text(translations, i).split(formEnd).at(-1)!;
    messages.push({ key: forms.at(-1)!, english: forms.at(-1)!, text: translated });
  }
  return messages;
}
