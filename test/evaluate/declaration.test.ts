/** The built-in held-out text: whole, sorted, chosen by language. */
import { expect, test } from "bun:test";
import { declaration } from "../../src/evaluate/declaration.ts";

test("the Declaration is there in 167 languages, by code, a paragraph a line", async () => {
  const all = await declaration();
  const codes = all.map(({ language }) => language);
  expect(codes).toHaveLength(167);
  expect(codes).toEqual([...new Set(codes)].sort());
  for (const { text } of all) {
    const lines = text.split("\n");
    expect(lines.length).toBeGreaterThan(25);
    expect(lines.every((line) => line === line.trim() && line !== "")).toBe(true);
    expect(text).toBe(text.normalize("NFC"));
  }
});

test("languages are chosen by code, and an unknown one is refused with those there are", async () => {
  const [eng, swa] = await declaration(["swa", "eng"]);
  expect(eng).toMatchObject({ language: "eng" });
  expect(eng!.text).toContain("All human beings are born free and equal in dignity and rights.");
  expect(swa!.text).toStartWith("Kwa kuwa kukiri heshima");
  await expect(declaration(["eng", "xxx"])).rejects.toMatchObject({
    kind: "usage",
    hint: expect.stringContaining("swa"),
  });
});
