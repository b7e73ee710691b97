/** `lola merge`: one file that does what base and adapters do, and none where it would not. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openSource } from "../../src/model/open.ts";
import { model, savedAdapter } from "./adapter.ts";
import { home, lola } from "./lola.ts";

const engine = ["--device", "cpu", "--threads", "1"];
const into = (name: string) => join(home, name);
const merge = (...args: string[]) => lola(["merge", ...engine, ...args]);
const text = async (...args: string[]) =>
  JSON.parse((await lola(["generate", "--json", "--greedy", "-n", "8", ...engine, ...args, "All human"])).out)
    .samples[0];

test("two adapters: the text of the merged model is theirs, and what was checked is told", async () => {
  const one = await savedAdapter("merge-one.lola");
  const two = await savedAdapter("merge-two.lola", { targets: ["mlp.c_fc"], rank: 5 }, { seed: 3 });
  const path = into("merged.lola");
  const shares = ["--adapter", one, "--adapter", `${two}:0.5`];
  const ran = await merge(...shares, "-o", path, "--json");
  expect(ran).toMatchObject({ code: 0, err: "" });
  const told = JSON.parse(ran.out);
  // c_attn of 4 layers, both matrices of 16 experts in 2, c_fc of 2.
  expect(told).toMatchObject({ changed: 4 + 2 * 2 * 16 + 2, dequantized: 0, type: "f32", path });
  expect(told.check.gap).toBeLessThan(1e-4 * told.check.effect);
  expect(told.check).toMatchObject({ compared: told.check.tokens, ties: 0 });
  const merged = await text("-m", path);
  const apart = await text("-m", model, ...shares);
  expect(merged.ids).toEqual(apart.ids);
  expect(merged.logprob).toBeCloseTo(apart.logprob, 3);
  expect(merged.ids).not.toEqual((await text("-m", model)).ids);
  const source = openSource(path);
  expect(source.identity).toBe(told.identity);
  expect(source.template).toMatchObject({ name: "alpaca" });
  source.close();
  const again = await merge(...shares, "-o", path);
  expect(again).toMatchObject({ code: 2, out: "" });
  const shown = await merge(...shares, "-o", path, "--force");
  expect(shown.out).toMatch(/66|70 matrices changed; stored as f32/);
  expect(shown.out).toMatch(/the likeliest token is the same, logits differ by \S+ at most/);
});

test("a quantized base: what changes becomes f32, or what is asked for", async () => {
  const small = into("merge-small.lola");
  await lola(["quantize", model, "-o", small, "--type", "q8", "--eval", "none", ...engine]);
  const adapter = await savedAdapter("merge-q.lola", {}, { of: small });
  const ran = await merge("--adapter", adapter, "-o", into("merged-q.lola"));
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toMatch(/stored as f32\n\d+ of them were quantized/);
  const half = JSON.parse(
    (await merge("--adapter", adapter, "-o", into("merged-h.lola"), "--dtype", "f16", "--json")).out,
  );
  expect(half).toMatchObject({ type: "f16" });
  const source = openSource(half.path);
  expect(source.tensors.get("h.0.attn.c_attn.weight")!.type).toBe("f16");
  expect(source.tensors.get("h.0.attn.c_proj.weight")!.type).toStartWith("q8_");
  source.close();
});

test("nothing changed, lost in rounding, of another model, of the head: refused, and no file", async () => {
  const refused = async (code: number, says: RegExp, ...args: string[]) => {
    const path = into("refused.lola");
    const ran = await merge(...args, "-o", path);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err).toMatch(/^lola: .+\ntry: .+\n$/);
    expect(ran.err).toMatch(says);
    expect(existsSync(path)).toBe(false);
  };
  const fresh = await savedAdapter("fresh.lola", {}, { scale: 0 });
  await refused(1, /merging changes nothing/, "--adapter", fresh);
  const faint = await savedAdapter("faint.lola", {}, { scale: 3e-4 });
  await refused(1, /the merged model is not what it should be/, "--adapter", faint, "--dtype", "bf16");
  const head = await savedAdapter("head.lola", { targets: ["head"] });
  await refused(3, /adds to the logits/, "--adapter", head);
  const other = into("other.lola");
  await lola(["import", model, "--dtype", "f16", "-o", other]);
  await refused(3, /is for the model .+is another/, "-m", other, "--adapter", fresh);
});

test("what is missing is named", async () => {
  expect((await merge("-o", "x.lola")).err).toContain("missing --adapter ADAPTER");
  expect((await merge("--adapter", "x")).err).toContain("missing -o FILE");
});
