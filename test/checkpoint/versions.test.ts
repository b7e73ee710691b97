/** Every version of the format that was ever written, with its features, stays readable, with the same content. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openModel } from "../../src/checkpoint/open.ts";
import { parseTokenizer } from "./published.ts";
import { readAll, tinyConfig, tinyTokenizer } from "./tiny.ts";

const written = [
  ["v1.lola", "d083268443a9b8a57a1c9af0ab6e18674ed5bcc34bb34e9db98b372c8b068f40"],
  ["v1-quantized.lola", "89d334454c96609833285fc476ed759c415145337e77c1e019399c3a285826fb"],
] as const;

for (const [name, identity] of written) {
  test(name, async () => {
    const path = join(import.meta.dir, "data", name);
    const model = openModel(path, parseTokenizer);
    expect(model.config).toEqual(tinyConfig);
    expect(model.tokenizer).toEqual(tinyTokenizer);
    expect(model.identity).toBe(identity);
    model.close();
    readAll(await Bun.file(path).bytes(), true);
  });
}
