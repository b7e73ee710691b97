/** What a command is given to work with. */
import { LolaError } from "../base/errors.ts";
import { isInteractive } from "./interactive.ts";
import { type Notes, Out } from "./streams.ts";

/** A signal asked the program to stop. */
export interface Interruption {
  code: 130 | 143;
}

export class Context<F = Record<string, unknown>, A extends string = string> {
  readonly out = new Out();
  #controller: AbortController | undefined;
  interrupted: Interruption | undefined;

  constructor(
    /** What was typed after the verb, for the command line that would need no questions. */
    readonly words: readonly string[],
    readonly action: A,
    readonly args: string[],
    readonly flags: F,
    readonly notes: Notes,
    /** Where each setting's value comes from, by flag name. */
    readonly origins: ReadonlyMap<string, string>,
    private readonly exit: (code: number) => void,
  ) {}

  /** May questions be asked? */
  get interactive(): boolean {
    return isInteractive((this.flags as { input: boolean }).input);
  }

  get json(): boolean {
    return (this.flags as { json?: boolean }).json === true;
  }

  /**
   * Takes over SIGINT, SIGTERM and SIGUSR1 (a batch system's warning): the first aborts this signal, so that work ends in
   * good order; a second one ends the program at once. Until this is first called, they end it at once by default.
   */
  cancellation(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    const stop = (code: Interruption["code"]) => () => {
      if (this.interrupted) this.exit(this.interrupted.code);
      this.interrupted = { code };
      controller.abort();
    };
    process.on("SIGINT", stop(130));
    process.on("SIGTERM", stop(143));
    process.on("SIGUSR1", stop(143));
    return controller.signal;
  }
}

/** A choice that must be there. @throws LolaError "usage" naming it, with an example of a full command line */
export function required(value: string | undefined, name: string, example: string): string {
  if (value !== undefined) return value;
  throw new LolaError("usage", `missing ${name}`, example);
}
