/** Where the turns of a conversation come from: somebody at a terminal, or a pipe. */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { LolaError } from "../base/errors.ts";

/** Lines, one after the other; undefined when there are no more. */
export interface Lines {
  /** @param further whether it belongs to the line before */
  next(further?: boolean): Promise<string | undefined>;
  close(): void;
}

/** A turn: a line, with those that follow as long as they end with a backslash. */
export async function nextTurn(lines: Lines): Promise<string | undefined> {
  let turn = await lines.next();
  while (turn?.endsWith("\\")) turn = `${turn.slice(0, -1)}\n${(await lines.next(true)) ?? ""}`;
  return turn;
}

/** Lines of stdin. @throws LolaError "usage" for what is not UTF-8 */
export function pipedLines(): Lines {
  const lines = splitLines();
  return {
    next: async () => {
      const { value, done } = await lines.next();
      return done ? undefined : value;
    },
    close: () => {},
  };
}

async function* splitLines(): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let held = "";
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw new LolaError("usage", "stdin is not UTF-8 text", "iconv -t UTF-8 converts it", { cause });
    }
  };
  for await (const bytes of Bun.stdin.stream()) {
    const pieces = (held + decode(bytes)).split(/\r?\n/);
    held = pieces.pop()!;
    yield* pieces;
  }
  held += decode();
  if (held !== "") yield held;
}

/**
 * Lines typed at a terminal, with a history. What is typed while nobody asks is kept for the next question, unseen.
 * Ctrl-C is `interrupt` then; at a line it clears that line, and at an empty one, the second time, it is the end, as Ctrl-D is.
 * @param prompt before each line, on stderr
 * @param tell shows a line on stderr
 */
export function typedLines(prompt: string, tell: (text: string) => void, interrupt: () => void): Lines {
  let asked: ((line: string | undefined) => void) | undefined;
  let ended = false;
  let warned = false;
  const ahead: string[] = [];
  const screen = new Writable({
    write(piece: Uint8Array, _, done) {
      if (asked) process.stderr.write(piece);
      done();
    },
  });
  const columns = () => Object.assign(screen, { columns: process.stderr.columns });
  const input = createInterface({ input: process.stdin, output: columns(), terminal: true, prompt });
  const resized = () => columns().emit("resize");
  process.stderr.on("resize", resized);
  const answer = (line: string | undefined) => {
    const give = asked;
    asked = undefined;
    warned = false;
    give?.(line);
  };
  input.on("line", (line) => {
    if (asked) answer(line);
    else ahead.push(line);
  });
  input.on("SIGINT", () => {
    if (!asked) return interrupt();
    if (input.line === "" && warned) return input.close();
    warned = input.line === "";
    input.write(null, { ctrl: true, name: "e" });
    input.write(null, { ctrl: true, name: "u" });
    tell(warned ? "\n(Ctrl-C once more leaves, as /exit does)" : "");
    input.prompt();
  });
  input.on("close", () => {
    ended = true;
    if (asked) process.stderr.write("\n");
    answer(undefined);
    process.stderr.off("resize", resized);
  });
  return {
    next(further = false) {
      const shown = further ? ".".padEnd(prompt.length) : prompt;
      const line = ahead.shift();
      if (line !== undefined) {
        process.stderr.write(`${shown}${line}\n`);
        return Promise.resolve(line);
      }
      if (ended) return Promise.resolve(undefined);
      return new Promise((give) => {
        asked = give;
        input.setPrompt(shown);
        input.prompt(true);
      });
    },
    close: () => input.close(),
  };
}
