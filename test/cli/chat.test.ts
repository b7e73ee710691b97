/** `lola chat`: through pipes and in a terminal. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { savedAdapter } from "./adapter.ts";
import { home, lola, onTerminal, root } from "./lola.ts";

const folder = join(root, "../shared/fixtures/udhr-lola");
const engine = ["--device", "cpu", "--threads", "1", "--seed", "7"];
const template = join(home, "chat.yaml");
const talk = ["chat", "-m", folder, "--template", template, ...engine];

beforeAll(async () => {
  const strings = { opening: "", system: "{system}\n", turn: "Q: {user}\nA:" };
  await Bun.write(template, JSON.stringify({ name: "short", chat: strings }));
});

describe("in a pipe", () => {
  const lines = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));

  test("one line in, one answer out, of one conversation; --jsonl tells them apart", async () => {
    const stdin = "All human beings\n\nEveryone has\n";
    const told = await lola([...talk, "-n", "12", "--jsonl"], { stdin });
    expect(told).toMatchObject({ code: 0, err: "" });
    const answers = lines(told.out);
    expect(answers.map(({ user }) => user)).toEqual(["All human beings", "Everyone has"]);
    expect(answers[1].prompt_tokens).toBeGreaterThan(answers[0].prompt_tokens + answers[0].tokens - 1);
    const ran = await lola([...talk, "-n", "12"], { stdin });
    const ended = (text: string) => (text.endsWith("\n") ? text : `${text}\n`);
    expect(ran).toEqual({ code: 0, err: "", out: `${ended(answers[0].answer)}\n${ended(answers[1].answer)}` });
  });

  test("commands: /reset begins anew, /save writes what lola finetune reads, // says a slash, /exit leaves", async () => {
    const path = join(home, "talk.jsonl");
    rmSync(path, { force: true });
    const stdin = `one\n/reset\none\n//two\n/save ${path}\n/exit\nthree\n`;
    const ran = await lola([...talk, "-n", "5", "--jsonl", "--system", "Be kind.", "--greedy"], { stdin });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const [first, again, slash, ...more] = lines(ran.out);
    expect(again).toEqual(first);
    expect(slash.user).toBe("/two");
    expect(more).toEqual([]);
    const { messages } = JSON.parse(readFileSync(path, "utf8"));
    expect(messages).toEqual([
      { role: "system", content: "Be kind." },
      { role: "user", content: "one" },
      { role: "assistant", content: again.answer },
      { role: "user", content: "/two" },
      { role: "assistant", content: slash.answer },
    ]);
    expect(await lola(talk, { stdin: `one\n/save ${path}\n` })).toMatchObject({ code: 2 });
    expect((await lola(talk, { stdin: "/rest\n" })).err).toContain("try: /reset");
  });

  test("a line that ends with a backslash goes on in the next", async () => {
    const stdin = "one\\\ntwo \\\n\nthree\\";
    const ran = await lola([...talk, "-n", "2", "--jsonl"], { stdin });
    expect(lines(ran.out).map(({ user }) => user)).toEqual(["one\ntwo", "three"]);
  });

  test("lola generate --chat is the same conversation, begun with the prompt; what texts alone have is refused", async () => {
    const chat = ["-m", folder, "--adapter", await savedAdapter("said.lola", {}, { of: folder }), ...engine, "-n", "8"];
    const talked = await lola(["chat", ...chat], { stdin: "All human\nbeings\n" });
    expect(talked).toMatchObject({ code: 0, err: "" });
    expect(await lola(["generate", "--chat", ...chat, "All", "human"], { stdin: "beings\n" })).toEqual(talked);
    for (const flag of ["--echo", "--json", "--no-stream"]) {
      const refused = await lola(["generate", "--chat", flag, ...chat], { stdin: "one\n" });
      expect(refused).toMatchObject({ code: 2, out: "" });
      expect(refused.err).toStartWith(`lola: ${flag} has no place in a conversation`);
    }
  });

  test("a full context forgets, and that is told", async () => {
    const stdin = "Everyone has the right to life, liberty and security of person.\n".repeat(3);
    const ran = await lola([...talk, "-n", "10", "--ctx", "60", "--jsonl"], { stdin });
    expect(ran.code).toBe(0);
    expect(ran.err).toMatch(/^lola: the context is full: /);
    expect(lines(ran.out).at(-1).forgotten).toBeGreaterThan(0);
  });

  test("the template is the adapter's, or there must be one; silence is misuse", async () => {
    const adapter = await savedAdapter("chat.lola", {}, { of: folder });
    const ran = await lola(["chat", "--adapter", adapter, ...engine, "-n", "3"], { stdin: "one\n" });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const none = await lola(["chat", "-m", folder, ...engine], { stdin: "one\n" });
    expect(none).toMatchObject({ code: 2, out: "" });
    expect(none.err).toMatch(/udhr-lola has no template: .+\ntry: --template alpaca/);
    expect(await lola(talk)).toMatchObject({ code: 2, out: "" });
  });
});

test("in a terminal: Ctrl-C stops the answer, not the program; the conversation goes on", async () => {
  const slow = talk.map((word) => (word === "cpu" ? "reference" : word));
  const shownAfter = (text: string, keys: string) => (shown: string) => (shown.includes(text) ? keys : undefined);
  const ran = await onTerminal(
    [...slow.slice(0, -4), "--seed", "7", "-n", "200", "--temperature", "1.3"],
    [
      shownAfter("> ", "All human beings\r"),
      (shown) => (/beings\s[^>]*[a-z]{3}/.test(shown) ? "\x03" : undefined),
      shownAfter("(stopped)", "/hlep\r"),
      shownAfter("no command /hlep", "/help\r"),
      shownAfter("stops an answer", "\x03"),
      shownAfter("once more leaves", "\x03"),
    ],
    { NO_COLOR: "1" },
  );
  expect(ran, ran.shown).toMatchObject({ code: 0 });
  expect(ran.shown).toContain("by the template short");
});
