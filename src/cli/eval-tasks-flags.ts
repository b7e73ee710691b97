/** The flags of `lola eval tasks`. */
import type { Flags, Values } from "./table.ts";

export const taskFlags = {
  task: {
    type: "list",
    value: "TASK",
    short: "t",
    doc: "a task that ships (xcopa_et), all of its languages (xcopa), or a YAML file as lm-evaluation-harness has them",
    category: "Tasks",
  },
  data: {
    type: "text",
    value: "DIR",
    doc: "a folder with the tasks' rows, TASK/SPLIT.jsonl, or the file of one task",
    category: "Tasks",
    complete: "directory",
  },
  numFewshot: {
    type: "integer",
    value: "N",
    min: 0,
    doc: "examples before each question (default: as the task says, which is mostly none)",
    category: "Tasks",
  },
  list: { type: "flag", doc: "list the tasks that ship", category: "Tasks" },
} as const satisfies Flags;

export type TaskFlags = Values<typeof taskFlags>;
