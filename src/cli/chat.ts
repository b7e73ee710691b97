/** A conversation at a terminal or through a pipe: turns and commands in, answers out. */
import { existsSync } from "node:fs";
import { saveFile } from "../base/atomic.ts";
import { LolaError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import type { AdapterShare } from "../checkpoint/adapter-file.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { alpaca, parseTemplate, readTemplate, type Template } from "../data/template.ts";
import { type Answer, Conversation } from "../generate/conversation.ts";
import { tokenizerOf } from "../model/open.ts";
import type { Sampling } from "../model/session.ts";
import { type adapterFlag, openAdapted } from "./adapters.ts";
import { nextTurn, pipedLines, typedLines } from "./chat-lines.ts";
import type { Context } from "./context.ts";
import type { engineFlags, modelFlag, sessionFlags } from "./flags.ts";
import { loadOn } from "./model.ts";
import type { offloadFlags } from "./offload.ts";
import { toJson } from "./streams.ts";
import type { Values } from "./table.ts";

export type ChatFlags = Values<
  typeof modelFlag & typeof adapterFlag & typeof engineFlags & typeof sessionFlags & typeof offloadFlags
> & {
  maxTokens: number;
  jsonl: boolean;
  /** What the conversation stands under. */
  system?: string | undefined;
  /** As asked for. */
  template?: string | undefined;
};

const commands = {
  "/help": "these commands",
  "/reset": "begins anew",
  "/save FILE": "writes the conversation as lola finetune reads it",
  "/exit": "leaves, as Ctrl-D does",
} as const;
const commandNames = Object.keys(commands).map((name) => name.split(" ")[0]!);

/**
 * A conversation with the model and adapters that the flags name.
 * @param first turn, before those that are read
 * @throws LolaError, DataError
 */
export async function converse(context: Context<ChatFlags>, sampling: Sampling, first?: string): Promise<void> {
  const { flags, notes } = context;
  const { source, adapters, close } = await openAdapted(flags.model, flags.adapter, notes);
  try {
    const template = templateOf(flags.template, source, adapters);
    const { model, options, why } = await loadOn(source, tokenizerOf(source), flags, notes, adapters);
    try {
      const conversation = new Conversation(model.session(options), model.tokenizer, template, flags.system);
      notes.tell(sampling.temperature > 0 ? `${why}; seed ${sampling.seed}` : why);
      notes.tell(`${source.label} by the template ${template.name}; /help lists commands`);
      await talk(context, conversation, sampling, first);
    } finally {
      model.device.close();
    }
  } finally {
    close();
  }
}

/**
 * How conversations are written: as asked, as the adapters were trained, or as the model was.
 * @param asked `alpaca`, or a file
 * @throws LolaError "usage" where nothing tells
 */
function templateOf(asked: string | undefined, source: ModelSource, adapters: readonly AdapterShare[]): Template {
  if (asked !== undefined) return asked === alpaca.name ? alpaca : readTemplate(asked);
  const kept = [...adapters.map(({ adapter }) => adapter), source].find(({ template }) => template !== undefined);
  if (kept) return parseTemplate(kept.template, kept.label);
  throw new LolaError(
    "usage",
    `${source.label} has no template: it does not tell how conversations are written for it`,
    `--template ${alpaca.name}, or --template FILE, or an --adapter that was tuned on conversations`,
  );
}

/** Talks until there are no more turns. @throws LolaError "usage" where there was none, and in a pipe for one that cannot be answered */
async function talk(
  context: Context<ChatFlags>,
  conversation: Conversation,
  sampling: Sampling,
  first: string | undefined,
): Promise<void> {
  const { notes, interactive } = context;
  const stopped = context.cancellation();
  const answering: { controller: AbortController | undefined } = { controller: undefined };
  const lines = interactive
    ? typedLines(
        "> ",
        (text) => notes.error(text),
        () => answering.controller?.abort(),
      )
    : pipedLines();
  stopped.addEventListener("abort", () => lines.close());
  const saved = new Set<string>();
  let answers = 0;
  try {
    for (let turn = first ?? (await nextTurn(lines)); turn !== undefined; turn = await nextTurn(lines)) {
      const text = turn.trim();
      if (text === "/exit") break;
      if (text === "") continue;
      try {
        if (text.startsWith("/") && !text.startsWith("//")) await perform(text, context, conversation, saved);
        else {
          const controller = (answering.controller = new AbortController());
          const signal = AbortSignal.any([stopped, controller.signal]);
          const user = text.startsWith("//") ? text.slice(1) : text;
          await answer(user, answers++, context, conversation, sampling, signal);
        }
      } catch (error) {
        if (!(interactive && error instanceof LolaError && error.kind === "usage")) throw error;
        notes.error(`lola: ${error.message}`);
      } finally {
        answering.controller = undefined;
      }
      if (stopped.aborted) return;
    }
  } finally {
    lines.close();
  }
  if (answers === 0 && !interactive)
    throw new LolaError("usage", "nobody said anything", "echo Habari | lola chat, or lola chat in a terminal");
}

/** Streams one answer; in a pipe an empty line parts it from the one before. */
async function answer(
  user: string,
  index: number,
  { flags, notes, out, interactive }: Context<ChatFlags>,
  conversation: Conversation,
  sampling: Sampling,
  signal: AbortSignal,
): Promise<void> {
  const { maxTokens, jsonl } = flags;
  const run = conversation.say(user, { maxTokens, sampling, signal });
  let step = await run.next();
  if (index > 0 && !interactive && !jsonl) out.write("\n");
  let last = "";
  for (; !step.done; step = await run.next()) {
    last = step.value;
    if (!jsonl) out.model(step.value);
  }
  const { text, finishReason, tokens, promptTokens, forgotten } = step.value;
  if (jsonl) out.line(toJson({ user, answer: text, finishReason, tokens, promptTokens, forgotten }));
  else if (!last.endsWith("\n")) out.write("\n");
  if (forgotten > 0)
    notes.warn(`the context is full: ${forgotten === 1 ? "the oldest turn is" : `${forgotten} turns are`} forgotten`);
  const why = endings[finishReason];
  if (why) notes.tell(`(${why})`);
}

/** What is told of an answer that the model did not end. */
const endings: Partial<Record<Answer["finishReason"], string>> = {
  interrupted: "stopped",
  length: "cut at --max-tokens",
  context: "cut: the context is full",
};

/** Does what a line that begins with / says. @throws LolaError "usage" */
async function perform(
  line: string,
  { notes }: Context<ChatFlags>,
  conversation: Conversation,
  saved: Set<string>,
): Promise<void> {
  const [, name = "", file = ""] = /^(\S+)\s*(.*)$/.exec(line)!;
  switch (name) {
    case "/help":
      for (const [usage, doc] of Object.entries(commands)) notes.error(`${usage.padEnd(12)} ${doc}`);
      notes.error("//...        says what begins with one /; Ctrl-C stops an answer");
      return;
    case "/reset":
      conversation.reset();
      notes.tell("(a new conversation)");
      return;
    case "/save":
      await save(file, conversation, saved);
      notes.tell(`(${file} written)`);
      return;
  }
  const meant = nearest(name, commandNames);
  throw new LolaError("usage", `no command ${name}; /help lists them`, meant ?? `//${line.slice(1)} to say that`);
}

/** Writes the turns as one line of JSONL; over a file only where this conversation wrote it. @throws LolaError "usage" */
async function save(file: string, { turns }: Conversation, saved: Set<string>): Promise<void> {
  if (file === "") throw new LolaError("usage", "/save needs a file", "/save talk.jsonl");
  if (!turns.some(({ role }) => role === "assistant")) throw new LolaError("usage", "nothing was said yet");
  if (existsSync(file) && !saved.has(file)) throw new LolaError("usage", `${file} exists`, "/save with another name");
  const line = `${JSON.stringify({ messages: turns })}\n`;
  await saveFile(file, (output) => output.write(new TextEncoder().encode(line)));
  saved.add(file);
}
