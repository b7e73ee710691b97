/** What `lola help data` and `lola help examples` explain: the files that models are trained on. */
import type { Topic } from "./topics.ts";

export const dataTopics: readonly Topic[] = [
  {
    name: "data",
    summary: "what text and examples to train on may look like",
    text: `A text file holds documents separated by blank lines. A JSONL file holds one
object a line, its language optional:

  {"text": "Habari ya asubuhi", "lang": "swa"}

A folder stands for all .txt and .jsonl files in it and below, also as .gz and
.zst. Their language is what their name begins with, or the folder nearest to
them:

  corpus/swa.txt   corpus/yor.jsonl.zst   corpus/cmn_hans/part-1.txt

- is stdin: JSONL if it begins with {, else text. A language that nothing tells
is called und. All text is UTF-8.

Of the documents a share is held out (--validation), chosen by a hash of their
content: the same document is on the same side in every corpus. Nothing is
learnt from those; they are what results are measured on.

Languages are mixed by temperature: with --alpha A, of n bytes of text each gets
the share n^A of the sum; with --cap BYTES, n counts for no more than that.

lola finetune reads examples as well: lola help examples.`,
  },
  {
    name: "examples",
    summary: "what lola finetune learns from: kinds of examples, templates, mistakes",
    text: `lola finetune reads JSON (a list, or an object with one), JSONL, CSV, TSV,
Parquet or text, plain or as .gz or .zst, from files, folders or stdin (-). Each
file holds one kind of example, told by its keys; other keys are left out:

  {"text": "..."}                                        all of it is learnt
  {"prompt": "...", "completion": "..."}                 the completion is
  {"instruction": "...", "input": "...", "output": "..."}     the output is
  {"messages": [{"role": "user", "content": "..."},
                {"role": "assistant", "content": "..."}]}     each answer is
  {"conversations": [{"from": "human", "value": "..."},
                     {"from": "gpt", "value": "..."}]}        each answer is

"input" may be empty or missing. A first turn may be the system's; then user and
assistant speak by turns, the assistant last. "lang" beside any of them names
its language, which is measured by itself then. In CSV the keys are the header;
a text file holds texts, parted by blank lines. Prompts are learnt, too, with
--train-on-prompt. The end-of-text token follows what is learnt, so that the
model ends its answers. --preview 3 shows what counts.

Prompts with completions are taken as they are. Around instructions and turns
stands a template: LOLA's Alpaca prompt, or that of --template FILE, YAML or
JSON, with what it is needed for of

  name: mine
  instructions:
    plain: "Q: {instruction}\\nA:"             # without an input
    input: "{input}\\nQ: {instruction}\\nA:"    # with one
  chat:
    opening: ""               # begins a conversation with no system
    system: "{system}\\n"     # begins one with it
    turn: "Q: {user}\\nA:"    # each turn of the user

The adapter or model keeps the template, and lola chat speaks by it.

A row that is none of these ends with exit code 3 before the first step, and a
line that names file, line, the nearest kind and the keys found:

  rows.jsonl line 7: no "output", as Alpaca instructions have; keys: instruction
  try: rows with "instruction" and "output"

So do examples longer than the context, until --too-long split, drop or truncate
says what becomes of them. A share is held out (--validation), chosen by a hash
of the example: the same in every file.`,
  },
];
