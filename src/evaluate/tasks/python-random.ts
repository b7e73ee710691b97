/** Python's `random.Random(seed).sample`: the harness draws its examples by it, so the same ones are drawn here. */

const [N, M] = [624, 397];

/** The Mersenne Twister MT19937, seeded as CPython seeds it with a whole number below 2³². */
export class PythonRandom {
  private readonly state = new Uint32Array(N);
  private at = N;

  constructor(seed: number) {
    const { state } = this;
    this.fill(19650218);
    let i = 1;
    for (let k = 0; k < N; k++) {
      state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), 1664525)) + seed;
      i = this.next(i);
    }
    for (let k = 1; k < N; k++) {
      state[i] = (state[i]! ^ Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), 1566083941)) - i;
      i = this.next(i);
    }
    state[0] = 0x80000000;
  }

  private fill(seed: number): void {
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
  }

  private next(i: number): number {
    if (i + 1 < N) return i + 1;
    this.state[0] = this.state[N - 1]!;
    return 1;
  }

  /** `count` different ones of `from`, in the order in which Python draws them. */
  sample<T>(from: readonly T[], count: number): T[] {
    const n = from.length;
    // Python's own limit between its two ways.
    const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    if (n <= setSize) {
      const pool = [...from];
      return Array.from({ length: count }, (_, i) => {
        const j = this.below(n - i);
        const drawn = pool[j]!;
        pool[j] = pool[n - i - 1]!;
        return drawn;
      });
    }
    const drawn = new Set<number>();
    while (drawn.size < count) drawn.add(this.below(n));
    return Array.from(drawn, (j) => from[j]!);
  }

  private below(n: number): number {
    const bits = 32 - Math.clz32(n);
    for (;;) {
      const drawn = this.word() >>> (32 - bits);
      if (drawn < n) return drawn;
    }
  }

  private word(): number {
    if (this.at >= N) this.twist();
    let y = this.state[this.at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff);
      state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
}
