/** `lola eval tasks` as a user's shell runs it. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lola, root } from "./lola.ts";

const fixture = join(root, "../shared/fixtures/udhr-lola");
const data = join(root, "test/evaluate/tasks/data");
const folder = mkdtempSync(join(tmpdir(), "lola-eval-tasks-"));
afterAll(() => rmSync(folder, { recursive: true }));
const tasks = (...args: string[]) =>
  lola(["eval", "tasks", ...args, "-m", fixture, "--device", "cpu"], { cwd: folder });

test("what ships is listed, with --json too", async () => {
  const [text, json] = await Promise.all([tasks("--list"), tasks("--list", "--json")]);
  expect(text.out).toMatch(/belebele +122 +belebele_acm_Arab … +Belebele/);
  expect(JSON.parse(json.out).shipped).toHaveLength(13);
});

test("questions are answered, and another run goes on behind those that are", async () => {
  const asked = ["-t", "xcopa_et", "-t", "mgsm_direct_de", "--data", data, "-o", "r.json"];
  const first = await tasks(...asked, "--limit", "1");
  expect(first).toMatchObject({ code: 0 });
  expect(first.out).toMatch(/xcopa_et +est +1 /);
  const second = await tasks(...asked, "--csv", "r.csv", "--report", "r.html");
  expect(second.out).toContain("4 questions, at most 256 tokens; 2 answered before");
  expect(existsSync(join(folder, "r.json.partial"))).toBe(false);
  const results = JSON.parse(readFileSync(join(folder, "r.json"), "utf8"));
  expect(results.samples).toHaveLength(4);
  expect(results.samples[0]).toMatchObject({ kind: "task", task: "xcopa_et", target: "hakkas sadama vihma." });
  const lines = readFileSync(join(folder, "r.csv"), "utf8").trim().split("\r\n");
  expect(lines[0]).toBe("task,language,questions,metric,value,stderr,low,high,chance");
  expect(lines[1]).toMatch(/^xcopa_et,est,2,acc,.*,0\.5$/);
  expect(lines[3]).toMatch(/^mgsm_direct_de,deu,2,"exact_match,flexible-extract",/);
  const page = readFileSync(join(folder, "r.html"), "utf8");
  expect(page).toContain('<th scope="row">xcopa_et</th>');
  expect(page.slice(0, page.indexOf("<script>"))).not.toMatch(/NaN|undefined|https?:/);

  const other = await tasks(...asked, "--ctx", "128");
  expect(other).toMatchObject({ code: 2 });
  expect(other.err).toContain("context");
});

test("a task and rows of one's own", async () => {
  writeFileSync(
    join(folder, "own.yaml"),
    "task: own\ndataset_kwargs: {data_files: own.jsonl}\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: q\ndoc_to_choice: c\ndoc_to_target: a\n",
  );
  const rows = [
    { q: "All human beings are born free and equal in dignity", c: ["and rights.", "zu qx jw"], a: 0 },
    { q: "Everyone has the right to", c: ["##!!", "freedom"], a: 1 },
  ];
  writeFileSync(join(folder, "own.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const { out, code } = await tasks("-t", "own.yaml", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).tasks[0]).toMatchObject({
    task: "own",
    samples: 2,
    metrics: { acc: { value: 1 } },
    chance: 0.5,
  });
});

test("what is missing or wrong is told in one line, with what to try", async () => {
  const cases: [args: string[], code: number, says: string][] = [
    [[], 2, "missing --task"],
    [["-t", "xcopa_et"], 2, "xcopa_et: no rows"],
    [["-t", "xcopa_it", "--data", data], 2, "xcopa_it: no rows of split test"],
    [["-t", "xcopa_xx", "--data", data], 2, "no task xcopa_xx ships"],
    [["-t", "xcopa_et", "--data", "nowhere"], 2, "nowhere"],
    [["-t", "xcopa", "--lang", "fra", "--data", data], 2, 'no task in "fra"'],
    [["-t", "xcopa_et", "--data", data, "--num-fewshot", "1"], 2, "no rows of split validation"],
    [["-t", "m_mmlu_en", "--data", data, "--num-fewshot", "9"], 3, "2 rows for 9 examples"],
    [["-t", "xcopa_et", "--data", data, "--ctx", "9999"], 2, "256 positions"],
  ];
  const ran = await Promise.all(cases.map(([args]) => tasks(...args)));
  for (const [i, [, code, says]] of cases.entries()) {
    expect(ran[i]!).toMatchObject({ code, out: "" });
    expect(ran[i]!.err).toContain(says);
    expect(ran[i]!.err).toContain("\ntry: ");
    expect(ran[i]!.err).not.toContain("a bug");
  }
});
