/** What every parser of the recipe yields: one message of a program, in one language. */
export interface Message {
  /** What names the message in all languages alike, within its file. */
  key: string;
  /** Its English text, where the file itself holds it. */
  english?: string;
  text: string;
}

/** Letters and marks of a text in lower case: what two texts are compared by. A text without any stands for itself. */
export function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{M}]+/gu, "") || text;
}
