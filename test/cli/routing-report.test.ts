/** `lola routing report`: the page and its figures' files, what it says, what it refuses. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { saveCollection } from "../../src/routing/folder.ts";
import { collection } from "../routing/tiny.ts";
import { lola } from "./lola.ts";

setDefaultTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), "lola-routing-report-"));
afterAll(() => rmSync(folder, { recursive: true }));
const run = join(folder, "run");
await saveCollection(run, collection());

test("a page, and every figure as SVG, PNG, CSV and JSON", async () => {
  const { code, out, err } = await lola(["routing", "report", run]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toStartWith(`${join(run, "report.html")}\n`);
  expect(out).toContain("Mantel's r");
  expect(readFileSync(join(run, "report.html"), "utf8")).toStartWith("<!doctype html>");
  const files = readdirSync(join(run, "figures"));
  const stems = files.filter((name) => name.endsWith(".svg")).map((name) => name.slice(0, -4));
  expect(stems).toHaveLength(13);
  const all = stems.flatMap((stem) => ["svg", "png", "csv", "json"].map((end) => `${stem}.${end}`));
  expect(files.toSorted()).toEqual([...all, "favourites.csv"].toSorted());
});

test("--json has the numbers, -o another place; twice the same", async () => {
  const results = [];
  for (const name of ["a", "b"]) {
    const { code, out } = await lola(["routing", "report", run, "-o", join(folder, name), "--json"]);
    expect(code).toBe(0);
    const { claim, names, findings } = JSON.parse(out);
    expect(claim.languages).toHaveLength(15);
    expect(claim.unknown).toEqual(["und"]);
    results.push({ claim, names, findings, page: readFileSync(join(folder, name, "report.html"), "utf8") });
  }
  expect(results[0]).toEqual(results[1]!);
});

test("misuse and folders that are no collection: one line and its code", async () => {
  writeFileSync(join(folder, "file"), "");
  const refusals: [string[], number, string][] = [
    [[], 2, "one collection"],
    [[run, run], 2, "one collection"],
    [[join(folder, "nowhere")], 2, "no such file"],
    [[join(folder, "file")], 3, "not valid JSON"],
    [[run, "-o", join(folder, "file")], 1, "cannot make"],
  ];
  for (const [args, code, said] of refusals) {
    const ran = await lola(["routing", "report", ...args]);
    expect({ args, code: ran.code }).toEqual({ args, code });
    expect(ran.err).toContain(said);
    expect(ran.err.trim().split("\n").length).toBeLessThanOrEqual(2);
  }
});
