/** The one error class that users see: what happened, what kind of failure it is, and what to try next. */

/** Kinds of failure, each with the exit code that the program ends with (design §5). */
export const exitCodes = {
  /** Failed while running: disk full, network, a peer that went away. */
  failed: 1,
  /** Misuse: unknown flag, bad value, prompt too long. */
  usage: 2,
  /** A model or data file is corrupt, of the wrong format or of an unknown version. */
  data: 3,
  /** No usable device, out of memory, device lost. */
  device: 4,
  /** Stopped early on purpose; the run can be resumed. */
  stopped: 5,
} as const;

export type ErrorKind = keyof typeof exitCodes;

/** A failure that is the user's or the machine's, not a bug: printed as one line and a hint, without a stack trace. */
export class LolaError extends Error {
  override readonly name = "LolaError";

  /**
   * @param kind which exit code the program ends with
   * @param message one line: what, where, the numbers
   * @param hint the next command or action to try, without the word "try"
   */
  constructor(
    readonly kind: ErrorKind,
    message: string,
    readonly hint?: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  get exitCode(): number {
    return exitCodes[this.kind];
  }
}

/** A stable, machine-readable reason, for example "chunk.hash", so that tests and callers need not read messages. */
export class DataError extends LolaError {
  constructor(
    readonly code: string,
    message: string,
    hint?: string,
    options?: { cause?: unknown },
  ) {
    super("data", message, hint, options);
  }
}
