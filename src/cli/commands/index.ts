/** Every command. The parser, help, man page, completions, README and tests find commands here and nowhere else. */
import type { Command } from "../table.ts";
import { bench } from "./bench.ts";
import { chat } from "./chat.ts";
import { completion } from "./completion.ts";
import { doctor } from "./doctor.ts";
import { evaluation } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { finetune } from "./finetune.ts";
import { generate } from "./generate.ts";
import { help } from "./help.ts";
import { importCommand } from "./import.ts";
import { merge } from "./merge.ts";
import { models } from "./models.ts";
import { pull } from "./pull.ts";
import { quantize } from "./quantize.ts";
import { routing } from "./routing.ts";
import { specialize } from "./specialize.ts";
import { tokenizer } from "./tokenizer.ts";
import { train } from "./train.ts";

export const commands: readonly Command[] = [
  generate,
  chat,
  train,
  finetune,
  merge,
  quantize,
  evaluation,
  routing,
  specialize,
  importCommand,
  exportCommand,
  pull,
  models,
  tokenizer,
  doctor,
  bench,
  completion,
  help,
];
