/** Templates: the built-in one is LOLA's, files say the same, what is wrong in one is told; prompts are those of training. */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Turn } from "../../src/data/example.ts";
import { chatSegments, encodeSegments, segmentsOf } from "../../src/data/segments.ts";
import { alpaca, fill, parseTemplate, readTemplate, type Template } from "../../src/data/template.ts";
import { tiny } from "../tokenizer/support.ts";
import { coded, EOS, folderOf, removeFolders } from "./support.ts";

afterAll(removeFolders);

const read = (text: string) => readTemplate(join(folderOf({ "t.yaml": text }), "t.yaml"));

const yaml = `
name: alpaca
instructions:
  plain: |-
    Below is an instruction that describes a task. Write a response that appropriately completes the request.

    ### Instruction:
    {instruction}

    ### Response:
  input: |-
    Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.

    ### Instruction:
    {instruction}

    ### Input:
    {input}

    ### Response:
chat:
  opening: |+
    Below is an instruction that describes a task. Write a response that appropriately completes the request.

  system: "{system}\\n\\n"
  turn: "### Instruction:\\n{user}\\n\\n### Response:"
`;

describe("a template's file", () => {
  test("in YAML, and in JSON, says what the built-in one does", () => {
    expect(read(yaml)).toEqual(alpaca);
    expect(read(JSON.stringify(alpaca, null, 2))).toEqual(alpaca);
    expect(parseTemplate(JSON.parse(JSON.stringify(alpaca)), "the adapter")).toEqual(alpaca);
  });

  test("may hold one part alone", () => {
    const { chat, instructions } = alpaca;
    for (const part of [{ chat }, { instructions }])
      expect(read(JSON.stringify({ name: "x", ...part }))).toEqual({ name: "x", ...part } as Template);
  });

  const bad: Record<string, [code: string, text: string, says: string]> = {
    "no YAML": ["template.yaml", "a: [", "t.yaml: neither YAML nor JSON: Unexpected token"],
    empty: ["template.keys", "", "t.yaml: not an object"],
    "a list": ["template.keys", "- a", "t.yaml: not an object"],
    "no part": ["template.keys", "name: x", 't.yaml: neither "instructions" nor "chat"'],
    "no name": ["template.text", "chat: {}", 't.yaml: "name" is missing'],
    "an unknown part": ["template.keys", "name: x\nchats: {}", 't.yaml: "chats" is none of name, instructions, chat'],
    "an unknown string": [
      "template.keys",
      "name: x\nchat: {user: a}",
      't.yaml: "chat": "user" is none of opening, system, turn',
    ],
    "a missing string": ["template.text", 'name: x\nchat: {opening: "", system: "{system}"}', '"chat.turn" is missing'],
    "a number": [
      "template.text",
      'name: x\nchat: {opening: 1, system: "{system}", turn: "{user}"}',
      '"chat.opening" is not text',
    ],
    "no placeholder": [
      "template.placeholder",
      'name: x\ninstructions: {plain: "Q:", input: "{input} {instruction}"}',
      '"instructions.plain" holds {instruction} nowhere, not once',
    ],
    "a placeholder twice": [
      "template.placeholder",
      'name: x\nchat: {opening: "", system: "{system}", turn: "{user}{user}"}',
      '"chat.turn" holds {user} 2 times, not once',
    ],
  };
  test.each(Object.entries(bad))("%s is refused", (_, [code, text, says]) => {
    expect(() => read(text)).toThrow(coded(code));
    expect(() => read(text)).toThrow(says);
  });

  test("that is not there is misuse", () => {
    expect(() => readTemplate(join(folderOf({}), "none.yaml"))).toThrow(expect.objectContaining({ kind: "usage" }));
  });
});

test("what is filled in is not filled in again", () => {
  expect(fill("{a}-{b}-{c}", { a: "{b}", b: "$&$1", constructor: "x" })).toBe("{b}-$&$1-{c}");
});

describe("a conversation", () => {
  const turns: Turn[] = [
    { role: "user", content: "Habari?" },
    { role: "assistant", content: "Nzuri!" },
    { role: "user", content: "Na wewe?" },
  ];

  test("of one question is the prompt of a plain instruction", () => {
    const example = { kind: "alpaca", instruction: "Habari?", input: "", output: "Nzuri!" } as const;
    expect(chatSegments(turns.slice(0, 2), alpaca)).toEqual(segmentsOf(example, alpaca, false));
  });

  test("to be continued has the tokens that it has in training", () => {
    const tokenizer = tiny();
    const whole: Turn[] = [...turns, { role: "assistant", content: "Pia." }];
    const trained = encodeSegments(tokenizer, EOS, chatSegments(whole, alpaca));
    const answer = [...tokenizer.encode("Pia."), EOS];
    for (let i = 1; i < turns.length + 1; i += 2) {
      const prompt = encodeSegments(tokenizer, EOS, chatSegments(turns.slice(0, i), alpaca));
      expect(trained.slice(0, prompt.length)).toEqual(prompt);
      if (i === turns.length) expect(trained).toEqual([...prompt, ...answer]);
    }
  });

  test("and Alpaca's instructions need their part of the template", () => {
    const { instructions, chat } = alpaca;
    const example = { kind: "alpaca", instruction: "a", input: "", output: "b" } as const;
    expect(() => chatSegments(turns, { name: "x", instructions: instructions! })).toThrow(coded("template.keys"));
    expect(() => segmentsOf(example, { name: "x", chat: chat! }, false)).toThrow('template "x" has no "instructions"');
  });
});
