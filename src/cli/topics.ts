/** What `lola help TOPIC` explains beside the commands. */

import { dataTopics } from "./topics-data.ts";

export interface Topic {
  name: string;
  summary: string;
  text: string;
}

export const topics: readonly Topic[] = [
  {
    name: "exit-codes",
    summary: "what the exit code says",
    text: `  0    done; also when the reader of a pipe went away
  1    failed while running: disk full, network, a bug
  2    misuse: unknown command or flag, bad value, prompt too long, no such file
  3    a model or data file is corrupt, of the wrong format or version, or holds
       rows that are no examples
  4    no usable device, out of memory, device lost
  5    stopped early on purpose; the run can be resumed
  130  stopped by SIGINT (Ctrl-C); what was written stays, training saves
  143  stopped by SIGTERM; training: by SIGUSR1, too`,
  },
  {
    name: "configuration",
    summary: "flags, environment, configuration files",
    text: `A setting takes its value from the first of these that has one:

  1. the flag on the command line        --device cpu
  2. the environment                     LOLA_DEVICE=cpu
  3. lola.toml in the current folder     device = "cpu"
  4. config.toml in the user's folder    device = "cpu"
  5. the default

In a file, a table named after a command holds for that command alone:

  model = "lola_v1"
  [generate]
  temperature = 0.7

lola doctor lists all settings with their values and where each came from.`,
  },
  {
    name: "environment",
    summary: "environment variables",
    text: `  LOLA_HOME            one folder for models, cache and configuration
  XDG_DATA_HOME        models are in lola/models under it (~/.local/share)
  XDG_CACHE_HOME       caches are in lola under it (~/.cache)
  XDG_CONFIG_HOME      lola/config.toml is under it (~/.config)
  LOLA_MODEL, ...      settings: see lola help configuration
  HF_ENDPOINT          where lola pull downloads from
  HF_TOKEN             token for lola pull
  NO_COLOR             no colours; FORCE_COLOR=1 colours in pipes too
  CI                   no colours, no questions, no progress`,
  },
  ...dataTopics,
  {
    name: "json",
    summary: "what --json and --jsonl print",
    text: `Every command with a result prints it as one object with --json. Names are in
snake_case, sizes in bytes, times in seconds, 64-bit numbers decimal strings.

lola generate --json:
  model        name, identity (content hash; null for a folder)
  adapters     for each --adapter: name, strength
  device       kind, name
  memory       as planned before loading: weights, mapped (how many of those are
               the file's own pages), cache, activations, logits, program, total
  prompt       tokens (count), ids
  seed         decimal string; null when greedy
  sampling     temperature, top_k, top_p, min_p, repetition_penalty
  samples      for each: index, text, ids, finish_reason, logprob (sum, natural
               logarithm) and, with --logprobs K, logprobs: a list of tokens
  offload      null without --memory, and where all experts fit; else slots
               (experts on the device at once), experts, read_bytes (of them,
               those of --lang too), layers (for each MoE layer: layer, and
               hits, misses: experts that rows coming together asked for)
  timings      load_seconds, prefill_seconds, decode_seconds, tokens,
               tokens_per_second

  finish_reason is eos (the model ended the text), stop (a --stop text),
  length (--max-tokens) or context (no room for more).

lola generate --jsonl, one object a line:
  start        event, and model, device, memory, prompt, seed, sampling as above
  token        event, sample, text (characters that became certain), and id,
               token, logprob, experts (one for each MoE layer, for the token
               that was fed), top (with --logprobs)
  sample       event, sample, finish_reason, tokens, logprob
  end          event, samples (count), offload, timings

lola quantize --json:
  model, path, identity
  file_bytes, before, after   of the file; of all weights, unpacked
  types        one line for each kind of matrices
  kinds        by kind: tensors, before, after (bytes), nmse
  worst        the matrix that lost most: name, kind, from, to, nmse
  calibration  null without; tokens, few (experts that saw too few), compensated
               (matrices), and those that are not: short (fewer tokens than
               inputs), large (their sums would take too much memory)
  measured     null with --eval none; text, bytes, tokens, languages (for each:
               language, bytes, tokens, before and after in bits per byte,
               change), mean_change, worst, same_best (share of tokens),
               routing (for each MoE layer: layer, same)
  device, seconds, report

lola train --json:
  run          folder
  end          done, or stopped by a signal
  step, steps  done, of how many; skipped: left out, their gradient not finite
  tokens, seconds
  loss         of the last step, nats a token
  bits_per_byte  of the last validation

lola train --jsonl: start (with what --dry-run --json prints), then the lines of
metrics.jsonl and speed.jsonl in snake_case as they come, save (a checkpoint is
on the disk; best: its weights are the best so far), and end:
  start        run, device, config, step, steps, parameters, memory, languages
  step         step, tokens, loss, aux, norm, rate, entropy and share (largest)
               of each MoE layer's load, bad (elements that are not finite)
  validation   step, tokens, bits_per_byte, languages, load (by layer, expert)
  speed        step, tokens_per_second, joules where the machine tells
  save         step, best
  end          as --json

lola finetune --json: as lola train, and
  end          also early: --patience ran out
  method, file   how, and what came of it
  before, best, last   null with nothing held out; else step, bits_per_byte,
               languages (bits per byte by name)
With --preview: previews, for each language, tokens, counted and pieces (text,
counts). With --dry-run, and as start with --jsonl, then events as above:
  run, model, device, config, step, steps, memory
  parameters   total, trained
  data         files (label, kind, examples), languages (train and validation:
               examples, tokens, counted), longest, too_long, dropped
  experts      null, or by layer: experts, shares, covered

lola merge --json:
  model, adapters  as lola generate
  path, identity, file_bytes   of the model that was written
  changed, dequantized, type   matrices with adapters, how many of them were
               quantized, and what all of them are stored in
  check        tokens of fixed texts; compared, those with the same experts in
               both; gap (most that a logit of merged model and adapters
               differs); effect (most that adapters change one); ties (where the
               likeliest token differs, by rounding alone)
  device, seconds

lola chat --jsonl, one object a turn:
  user, answer, finish_reason (as lola generate, and interrupted), tokens,
  prompt_tokens, forgotten (earlier turns that left the context)`,
  },
  {
    name: "streams",
    summary: "what goes to stdout and stderr",
    text: `stdout carries the result and nothing else. Notes, progress and questions go
to stderr, and only where it is a terminal; in a pipe stderr stays empty
unless something is wrong. Only lola train, which takes hours, says there too
what it begins with and how each validation went. --quiet silences all of it.

"-" as an argument is stdin. --json prints one object; --jsonl one event a
line. Questions are asked only if stdin and stderr are terminals, CI is not
set and --no-input is not given; otherwise a missing choice is an error.

Text of a model is written exactly as generated, with a line end at the end
if it has none. In a terminal its control characters are shown as pictures,
so that no model can move your cursor or retitle your window.`,
  },
];
