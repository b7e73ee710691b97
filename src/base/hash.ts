/** Hashes: SHA-256 where a name must be unforgeable, xxHash64 where only accidents count. */

/** A SHA-256 that is fed piece by piece. */
export class Sha256 {
  private readonly hasher = new Bun.CryptoHasher("sha256");

  update(bytes: Uint8Array | string): this {
    this.hasher.update(bytes);
    return this;
  }

  /** 64 lower-case hex digits; the hash is used up. */
  hex(): string {
    return this.hasher.digest("hex");
  }
}

/** SHA-256 of `bytes` (a string counts as UTF-8), 64 lower-case hex digits. */
export function sha256(bytes: Uint8Array | string): string {
  return new Sha256().update(bytes).hex();
}

/** xxHash64 of `bytes` with seed 0, 16 lower-case hex digits. */
export function xxh64(bytes: Uint8Array): string {
  return Bun.hash.xxHash64(bytes).toString(16).padStart(16, "0");
}
