/** Opens whatever holds a model, deciding by content: a `.lola` file, a folder in the published layout or of a training run. */
import * as fs from "node:fs";
import { join } from "node:path";
import { DataError } from "../base/errors.ts";
import { fileBytes, memoryBytes, unreadable } from "./bytes.ts";
import { hasMagic } from "./header.ts";
import { isHfFolder, openHfFolder, type ParseTokenizer } from "./hf-folder.ts";
import { openLola } from "./lola-file.ts";
import type { ModelSource } from "./source.ts";

/** Bytes of a `.lola` file inside the program, with a name for messages. */
export interface Embedded {
  bytes: Uint8Array;
  label: string;
}

/** The weights that a training run has to show: the best on held-out text, before the first validation the newest. */
function bestOfRun(folder: string): string | undefined {
  const files = ["best.lola", "last.lola"].map((name) => join(folder, "checkpoints", name));
  return files.find((path) => fs.existsSync(path));
}

/**
 * Opens a model for reading.
 * @param parseTokenizer makes a tokenizer from the text files of a folder; a `.lola` file has its own inside
 * @throws LolaError "usage" if there is nothing at `path`; DataError if it is no model or a damaged one
 */
export function openModel(path: string | Embedded, parseTokenizer: ParseTokenizer): ModelSource {
  if (typeof path !== "string") return openLola(memoryBytes(path.bytes, path.label));
  let stat: fs.Stats;
  try {
    stat = fs.statSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (stat.isDirectory()) {
    const run = bestOfRun(path);
    if (run) return openModel(run, parseTokenizer);
    if (isHfFolder(path)) return openHfFolder(path, parseTokenizer);
    if (fs.existsSync(join(path, "adapter_config.json")))
      throw new DataError("folder.adapter", `${path} holds an adapter of PEFT's, no model`, `--adapter ${path}`);
    throw new DataError("folder.config", `${path} has no config.json: it is no model folder`);
  }
  const source = fileBytes(path);
  try {
    const start = source.reader()(0, Math.min(16, source.size));
    if (!hasMagic(start)) throw foreign(path, start);
  } catch (error) {
    source.close();
    throw error;
  }
  return openLola(source);
}

/** What a file that is no `.lola` seems to be, with the way to a model. */
function foreign(path: string, start: Uint8Array): DataError {
  const text = String.fromCharCode(...start);
  const toSafetensors = "convert it to safetensors on a machine you trust, then lola import DIR";
  const zip = text.startsWith("PK\x03\x04");
  const pickle = start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5;
  if (zip || pickle) {
    return new DataError(
      "file.pickle",
      `${path} is a PyTorch pickle: such files can run code and are never read`,
      toSafetensors,
    );
  }
  if (text.startsWith("GGUF"))
    return new DataError("file.gguf", `${path} is a GGUF file`, "the model's safetensors folder: lola import DIR");
  if (text[7] === "\0" && text[8] === "{") {
    return new DataError(
      "file.safetensors",
      `${path} is one safetensors file without its config and tokenizer`,
      "lola import on the folder that holds it",
    );
  }
  return new DataError("file.magic", `${path} is no .lola file`, "lola import DIR -o model.lola");
}
