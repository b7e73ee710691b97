/** Conversations: what the model is fed, turn by turn, what it need not be fed again, and what it forgets. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { chatSegments, encodeSegments } from "../../src/data/segments.ts";
import type { Template } from "../../src/data/template.ts";
import { openDevice } from "../../src/device/choose.ts";
import { type Answer, Conversation } from "../../src/generate/conversation.ts";
import { loadModel, type Model, openSource } from "../../src/model/open.ts";
import { greedy, type Session } from "../../src/model/session.ts";

const template: Template = {
  name: "short",
  chat: { opening: "Hello. ", system: "{system} ", turn: "Q: {user} A:" },
};
const options = { maxTokens: 6, sampling: greedy };

let model: Model;
beforeAll(async () => {
  const { device } = await openDevice("cpu", { threads: 1 });
  model = loadModel(device, openSource(join(import.meta.dir, "../../../shared/fixtures/udhr-lola")));
});
afterAll(() => model.device.close());

/** A session that tells what it was fed in prompts. */
function watched(context?: number): { session: Session; fed: number[][] } {
  const session = model.session(context === undefined ? {} : { context });
  const fed: number[][] = [];
  const feed = session.feed.bind(session);
  session.feed = (ids, ...rest) => {
    fed.push(Array.from(ids));
    return feed(ids, ...rest);
  };
  return { session, fed };
}

const talkTo = (session: Session, system?: string) => new Conversation(session, model.tokenizer, template, system);

async function say(conversation: Conversation, user: string, more: object = {}): Promise<Answer> {
  const run = conversation.say(user, { ...options, ...more });
  let pieces = "";
  for (;;) {
    const { value, done } = await run.next();
    if (done) {
      expect(value.text).toBe(value.finishReason === "stop" ? pieces.trimEnd() : pieces);
      return value;
    }
    pieces += value;
  }
}

test("turns follow one another as in training, and only what is new is fed", async () => {
  const { session, fed } = watched();
  const conversation = talkTo(session, "Be kind.");
  const first = await say(conversation, "one");
  const second = await say(conversation, "two");
  expect(fed[1]!.length).toBeLessThan(second.promptTokens - first.promptTokens + 2);
  const turns = [
    { role: "system" as const, content: "Be kind." },
    { role: "user" as const, content: "one" },
    { role: "assistant" as const, content: first.text },
    { role: "user" as const, content: "two" },
  ];
  expect(conversation.turns.slice(0, 4)).toEqual(turns);
  // The same prompt to a new session gives the same answer.
  const prompt = encodeSegments(model.tokenizer, model.config.eos, chatSegments(turns, template));
  expect(second.promptTokens).toBe(prompt.length);
  const again = model.session();
  let id = (await again.feed(prompt, greedy)).id;
  const ids = [id];
  while (ids.length < second.tokens) ids.push((id = (await again.next()).id));
  expect(model.tokenizer.decode(ids.filter((drawn) => drawn !== model.config.eos))).toBe(second.text);
});

test("where the context is full the oldest turns are forgotten, the system's never", async () => {
  const { session } = watched(48);
  const conversation = talkTo(session, "Be kind.");
  const answers = [];
  for (const user of ["one", "two", "three", "four", "five"]) answers.push(await say(conversation, user));
  expect(answers[0]!.forgotten).toBe(0);
  const forgotten = answers.reduce((sum, answer) => sum + answer.forgotten, 0);
  expect(forgotten).toBeGreaterThan(0);
  for (const { promptTokens } of answers) expect(promptTokens).toBeLessThanOrEqual(48 - 6);
  expect(conversation.turns).toHaveLength(11);
  conversation.reset();
  expect((await say(conversation, "one")).text).toBe(answers[0]!.text);
  expect(conversation.turns).toHaveLength(3);
});

test("a turn that no context holds is refused, and was not said", async () => {
  const conversation = talkTo(watched(24).session);
  const long = Array.from({ length: 40 }, (_, i) => `number ${i}`).join(" ");
  expect(say(conversation, long)).rejects.toThrow("the context holds 24");
  expect(conversation.turns).toEqual([]);
});

test("stopped answers stay said as far as they came, and the cache stays right", async () => {
  const controller = new AbortController();
  const { session } = watched();
  const conversation = talkTo(session);
  const run = conversation.say("one", { ...options, signal: controller.signal });
  await run.next();
  controller.abort();
  let step = await run.next();
  while (!step.done) step = await run.next();
  expect(step.value.finishReason).toBe("interrupted");
  expect(conversation.turns[1]).toEqual({ role: "assistant", content: step.value.text });
  const other = talkTo(model.session());
  const next = other.say("one", { ...options, maxTokens: step.value.tokens });
  for (let piece = await next.next(); !piece.done; piece = await next.next());
  expect(await say(conversation, "two")).toEqual(await say(other, "two"));
  // Before its first token, a turn is taken back.
  const stopped = new AbortController();
  stopped.abort();
  const before = conversation.turns;
  expect((await say(conversation, "three", { signal: stopped.signal })).finishReason).toBe("interrupted");
  expect(conversation.turns).toEqual(before);
  expect((await say(conversation, "four")).text).toBe((await say(other, "four")).text);
});

test("a model that goes on with the user's turn is stopped there", async () => {
  const plain = await say(talkTo(model.session()), "one", { maxTokens: 12 });
  const word = plain.text.trim().slice(4, 8);
  const cutting: Template = {
    name: "cut",
    chat: { ...template.chat!, turn: `${word}{user} A:`, opening: "Hello. Q: " },
  };
  const conversation = new Conversation(model.session(), model.tokenizer, cutting);
  const { text } = await say(conversation, "one", { maxTokens: 40 });
  expect(text).not.toContain(word);
});

test("a template that is not for conversations is refused", () => {
  const { chat: _, ...rest } = template;
  expect(() => new Conversation(model.session(), model.tokenizer, rest)).toThrow('has no "chat"');
});
