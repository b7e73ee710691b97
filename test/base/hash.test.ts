/** Hashes against their published vectors. */
import { expect, test } from "bun:test";
import { Sha256, sha256, xxh64 } from "../../src/base/hash.ts";

test("SHA-256 of nothing, of abc, and of abc in pieces (FIPS 180-4)", () => {
  expect(sha256("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(sha256("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(new Sha256().update("a").update(new TextEncoder().encode("bc")).hex()).toBe(sha256("abc"));
});

test("xxHash64 of nothing and of abc, seed 0", () => {
  expect(xxh64(new Uint8Array(0))).toBe("ef46db3751d8e999");
  expect(xxh64(new TextEncoder().encode("abc"))).toBe("44bc2cf5ad770999");
});
