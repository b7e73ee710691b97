/** Watches streamed text for stop strings, also across tokens, and holds back what may yet become one. */

export class StopFilter {
  private held = "";
  /** The stop string that was found. */
  found: string | undefined;

  constructor(private readonly stops: readonly string[]) {}

  /** Text that is certain not to belong to a stop string. After `found` is set, nothing more comes. */
  push(text: string): string {
    if (this.found !== undefined) return "";
    this.held += text;
    let cut = -1;
    for (const stop of this.stops) {
      const at = stop === "" ? -1 : this.held.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) [cut, this.found] = [at, stop];
    }
    if (this.found !== undefined) return this.release(cut);
    return this.release(this.held.length - this.openTail());
  }

  /** What is still held back when the text ends without a stop string. */
  end(): string {
    return this.found === undefined ? this.release(this.held.length) : "";
  }

  private release(length: number): string {
    const text = this.held.slice(0, length);
    this.held = this.held.slice(length);
    return text;
  }

  /** Length of the longest tail that a stop string starts with. */
  private openTail(): number {
    let longest = 0;
    for (const stop of this.stops)
      for (let n = Math.min(stop.length - 1, this.held.length); n > longest; n--)
        if (this.held.endsWith(stop.slice(0, n))) longest = n;
    return longest;
  }
}
