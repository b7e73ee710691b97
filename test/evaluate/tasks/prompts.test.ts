/** What each task that ships asks: the exact contexts, continuations and right answers, from rows in the public formats. */
import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadTasks, shippedTasks } from "../../../src/evaluate/tasks/load.ts";
import { Examples, type Prompt, promptOf } from "../../../src/evaluate/tasks/prompts.ts";
import { TaskData } from "../../../src/evaluate/tasks/rows.ts";

const data = await TaskData.open(join(import.meta.dir, "data"), tmpdir());

async function prompts(name: string, shots = 0): Promise<Prompt[]> {
  const [task] = loadTasks([name]);
  const rows = await data.rows(task!, task!.split.test);
  const examples = new Examples(task!, shots > 0 ? await data.rows(task!, task!.split.fewshot) : [], shots);
  return rows.map((row) => promptOf(task!, row, examples.of(row)));
}

/** Each request as one text, a bar where the continuation begins. */
const shown = ({ requests }: Prompt) => requests.map(({ context, continuation }) => `${context}|${continuation}`);

test("the 13 tasks of the paper ship, in all of its languages", () => {
  const all = shippedTasks();
  expect(all.map(({ name, tasks }) => [name, tasks.length])).toEqual([
    ["xcopa", 11],
    ["xnli", 15],
    ["xwinograd", 6],
    ["belebele", 122],
    ["xstorycloze", 11],
    ["arc", 31],
    ["hellaswag", 30],
    ["m_mmlu", 34],
    ["truthfulqa", 31],
    ["lambada_openai_mt_stablelm", 5],
    ["mgsm_direct", 11],
    ["mgsm_native_cot", 11],
    ["paws", 7],
  ]);
  expect(all.every(({ about }) => about.length > 20)).toBe(true);
  const tasks = loadTasks(all.map(({ name }) => name));
  expect(tasks.map(({ name }) => name)).toEqual(all.flatMap((one) => one.tasks));
  expect(tasks.every(({ language }) => /^[a-z]{3}(_[A-Z][a-z]{3})?$/.test(language!))).toBe(true);
});

test("xcopa: the premise without its full stop, a connector, choices with small letters", async () => {
  const [cause, effect] = await prompts("xcopa_et");
  expect(shown(cause!)).toEqual([
    "Poiss jooksis koju sest| hakkas sadama vihma.",
    "Poiss jooksis koju sest| päike paistis.",
  ]);
  expect(shown(effect!)[1]).toBe("Tüdruk avas akna seetõttu| tuppa tuli värsket õhku.");
  expect([cause!.gold, effect!.gold]).toEqual([[0], [1]]);
});

test("xnli and paws: whole sentences after nothing", async () => {
  const [first, , third] = await prompts("xnli_sw");
  expect(shown(first!)).toEqual([
    "| Mtoto anasoma kitabu, sahihi? Ndiyo, Mtoto anajua kusoma",
    "| Mtoto anasoma kitabu, sahihi? Hivyo, Mtoto anajua kusoma",
    "| Mtoto anasoma kitabu, sahihi? Hapana, Mtoto anajua kusoma",
  ]);
  expect([first!.gold, third!.gold]).toEqual([[0], [2]]);
  const [, same] = await prompts("paws_en");
  expect(shown(same!)).toEqual([
    "| Ann met Eve in Rome., right? Yes, In Rome, Ann met Eve.",
    "| Ann met Eve in Rome., right? No, In Rome, Ann met Eve.",
  ]);
  expect(same!.gold).toEqual([1]);
});

test("xwinograd: two contexts, one continuation", async () => {
  const [first, second] = await prompts("xwinograd_en");
  expect(shown(first!)).toEqual([
    "The cup did not fit in the box because the cup| was too large.",
    "The cup did not fit in the box because the box| was too large.",
  ]);
  expect([first!.gold, second!.gold]).toEqual([[0], [1]]);
});

test("belebele and m_mmlu: letters", async () => {
  const [first] = await prompts("belebele_eng_Latn");
  expect(first!.requests[1]).toEqual({
    context:
      "P: The market opens at six. Farmers bring fruit and fish. At noon the stalls close.\nQ: When do the stalls close?\nA: At six\nB: At noon\nC: At night\nD: Never\nAnswer：",
    continuation: " B",
  });
  expect(first!.gold).toEqual([1]);
  const [plain] = await prompts("m_mmlu_en");
  expect(plain!.requests[0]).toEqual({
    context: "What is 2 + 3?\nA. 4\nB. 5\nC. 6\nD. 7\nAnswer:",
    continuation: " A",
  });
  const [shot] = await prompts("m_mmlu_en", 2);
  expect(shot!.requests[0]!.context).toBe(
    "What is 1 + 1?\nA. 2\nB. 3\nC. 4\nD. 5\nAnswer: A\n\nWhat is 9 - 4?\nA. 2\nB. 3\nC. 5\nD. 6\nAnswer: C\n\nWhat is 2 + 3?\nA. 4\nB. 5\nC. 6\nD. 7\nAnswer:",
  );
});

test("xstorycloze: four sentences, and the fifth", async () => {
  const [first, second] = await prompts("xstorycloze_es");
  expect(shown(first!)[0]).toBe(
    "Ana compró semillas. Las plantó en abril. Las regó cada día. En junio salieron flores.| Ana estaba contenta.",
  );
  expect([first!.gold, second!.gold]).toEqual([[0], [1]]);
});

test("arc: the options that there are", async () => {
  const [first, second] = await prompts("arc_de");
  expect(shown(first!)[0]).toBe("Question: Woraus besteht Eis?\nAnswer:| Wasser");
  expect([first!.choices.length, second!.choices.length]).toEqual([4, 3]);
  expect(second!.gold).toEqual([2]);
});

test("hellaswag: marks of WikiHow are taken out, capitals are Python's", async () => {
  const [first, second] = await prompts("hellaswag_fr");
  expect(first!.requests[0]!.context).toBe("Cuisine: Comment faire du thé. Chauffez l'eau. L'eau bout");
  expect(first!.choices).toEqual(["Versez-la sur le thé.", "Jetez la tasse.", " Dormez.", "Fermez la porte."]);
  expect(second!.requests[2]).toEqual({
    context: "Vélo: Un homme monte sur son vélo.",
    continuation: ' Il "dort".',
  });
  expect([first!.gold, second!.gold]).toEqual([[0], [1]]);
});

test("truthfulqa: six answered questions before each, the first choice is right", async () => {
  const [first] = await prompts("truthfulqa_es_mc1");
  const { context } = first!.requests[0]!;
  expect(context).toStartWith("Q: What is human life expectancy in the United States?\nA: Human life");
  expect(context).toEndWith("held in Barcelona, Spain.\n\nQ: ¿De qué color es el cielo de día?\nA:");
  expect(first!.requests.map(({ continuation }) => continuation)).toEqual([" Azul", " Verde", " No hay cielo"]);
  expect(first!.gold).toEqual([0]);
});

test("lambada: the last word", async () => {
  const [first] = await prompts("lambada_openai_mt_stablelm_en");
  expect(shown(first!)).toEqual(["He put the key in the lock, turned it, and opened the| door"]);
});

test("mgsm: its two forms, with and without an example", async () => {
  const [direct] = await prompts("mgsm_direct_de");
  expect(shown(direct!)).toEqual(["Frage: Eva hat 3 Äpfel und kauft 4 dazu. Wie viele hat sie?\nAntwort:|"]);
  expect(direct!.answers).toEqual(["7"]);
  const [shot] = await prompts("mgsm_direct_de", 1);
  expect(shot!.requests[0]!.context).toBe(
    "Frage: Tom hat 5 Bälle und bekommt 2. Wie viele hat er?\nAntwort:Tom hat 5 + 2 = 7. Die Antwort lautet 7.\n\nFrage: Eva hat 3 Äpfel und kauft 4 dazu. Wie viele hat sie?\nAntwort:",
  );
  const [steps] = await prompts("mgsm_native_cot_sw");
  expect(shown(steps!)).toEqual([
    "Swali: Juma ana machungwa 6, anakula 2. Yamebaki mangapi?\nJibu la Hatua kwa Hatua:|",
  ]);
});
