/** How soon each expert will be wanted again, judged by how often it was: what a full pool gives up last. */

/** A visit counts this much of what the next one of its layer does. */
const fading = 0.98;
/** Visits that a profile weighs as much as: all that fading leaves of visits without end. */
const certainty = 1 / (1 - fading);

export class Usage {
  /** Faded count of each layer's visits; and of those that used each expert, [layer, expert]. */
  private readonly visits: Float64Array;
  private readonly uses: Float64Array;
  /** The layer that was visited last. */
  private at = 0;

  constructor(
    private readonly layers: number,
    private readonly experts: number,
  ) {
    this.visits = new Float64Array(layers);
    this.uses = new Float64Array(layers * experts);
  }

  /** Takes the share of tokens that use an expert for known. @param shares [layer, expert], each layer's sum 1 */
  expect(shares: Float64Array): void {
    this.visits.fill(certainty);
    for (const [i, share] of shares.entries()) this.uses[i] = share * certainty;
  }

  /** Rows came to a layer, and these experts are theirs. */
  visit(layer: number, used: Iterable<number>): void {
    const from = layer * this.experts;
    for (let e = 0; e < this.experts; e++) this.uses[from + e]! *= fading;
    for (const e of used) this.uses[from + e]!++;
    this.visits[layer] = this.visits[layer]! * fading + 1;
    this.at = layer;
  }

  /**
   * Visits of layers until this expert is expected to be used, from the layer visited last on. Layers come in turn: what all
   * rows of a long prompt use comes back a round later, so the layer just passed is the one to give way.
   */
  wait(layer: number, expert: number): number {
    const turns = (layer - this.at + this.layers) % this.layers || this.layers;
    const used = this.uses[layer * this.experts + expert]!;
    return turns + this.layers * (this.visits[layer]! / used - 1);
  }
}
