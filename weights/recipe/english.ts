/** Tells English lines in the text of another language by their words: untranslated messages that no exact match finds. */

/** English, and languages made of it: their lines look English by right. */
const alike = new Set(["eng", "sco", "jam", "pcm", "gpe", "kri", "bis", "tpi", "ang", "srn", "pih"]);
/** Words of Latin script that a line must have to be judged, and how much likelier each must be English, on average (nats). */
const [leastWords, likelier] = [3, 2];
/** What a word that was never seen counts as. */
const unseen = 0.5;

export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/(?<![\p{L}\p{M}'’-])\p{Script=Latn}{2,}(?![\p{L}\p{M}'’-])/gu) ?? [];
}

/** How often each word of a language occurs. */
export class WordCounts {
  private readonly counts = new Map<string, number>();
  private total = 0;

  add(text: string): void {
    for (const word of wordsOf(text)) {
      this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
      this.total++;
    }
  }

  /** Natural logarithm of a word's share, `less` occurrences left out. */
  logShare(word: string, less: number): number {
    const count = Math.max(unseen, (this.counts.get(word) ?? 0) - less);
    return Math.log(count / (this.total + 1e4));
  }
}

/**
 * @param label the language that `text` is labelled as
 * @param own words of all its lines, this one among them
 */
export function isEnglish(text: string, label: string, english: WordCounts, own: WordCounts): boolean {
  if (alike.has(label)) return false;
  const words = wordsOf(text);
  if (words.length < leastWords || words.length < 0.5 * text.split(" ").length) return false;
  const margin = words.reduce((sum, word) => sum + english.logShare(word, 0) - own.logShare(word, 1), 0);
  return margin >= likelier * words.length;
}
