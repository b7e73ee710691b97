/** Every token and its experts as a table, with the columns of the paper's programs (spec §6), compressed as it grows. */
import type { Output } from "../base/atomic.ts";
import { zstd } from "../checkpoint/zstd.ts";
import type { RoutedDocument } from "./collect.ts";

/** Text of one frame. */
const frameBytes = 4 << 20;

/** `lang row token expert_layer_0 …`, tab between them: language, its document, token id, expert in each MoE layer, all from 0. */
export class TokenTable {
  private lines: string[] = [];
  private length = 0;

  /** @param output a zstd file, of several frames */
  constructor(
    private readonly output: Output,
    layers: number,
  ) {
    const columns = Array.from({ length: layers }, (_, layer) => `expert_layer_${layer}`);
    this.line(["lang", "row", "token", ...columns]);
  }

  add({ language, row, ids, experts }: RoutedDocument): void {
    for (const [t, id] of ids.entries()) this.line([language, row, id, ...experts.map((layer) => layer[t]!)]);
  }

  /** Writes what is left. */
  end(): void {
    if (this.lines.length === 0) return;
    const text = new TextEncoder().encode(this.lines.join(""));
    this.output.write(zstd().compress(text, 3));
    this.lines = [];
    this.length = 0;
  }

  private line(cells: readonly (string | number)[]): void {
    const line = `${cells.join("\t")}\n`;
    this.lines.push(line);
    this.length += line.length;
    if (this.length >= frameBytes) this.end();
  }
}
