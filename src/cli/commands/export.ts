/** `lola export`: a model → a folder that other tools read. */
import { basename, resolve } from "node:path";
import { required } from "../context.ts";
import { modelFlag } from "../flags.ts";
import { openNamed } from "../model.ts";
import { grouped } from "../style.ts";
import { defineCommand } from "../table.ts";

export const exportCommand = defineCommand({
  name: "export",
  summary: "writes a model as a folder that other tools read",
  examples: [
    { line: "lola export model.lola --to hf -o model/", doc: "config.json, safetensors and tokenizer files" },
    { line: "lola export -o model/", doc: "the built-in model" },
    { line: "lola export run/ --to peft -o adapter/", doc: "an adapter: adapter_config.json and safetensors" },
  ],
  args: [
    {
      name: "model",
      doc: "a .lola file or the name of a stored model; with --to peft an adapter's file or run",
      complete: "model",
    },
  ],
  flags: {
    ...modelFlag,
    output: {
      type: "text",
      value: "DIR",
      short: "o",
      doc: "folder to make; must be empty or absent",
      complete: "directory",
    },
    to: {
      type: "choice",
      value: "FORMAT",
      choices: ["hf", "peft"],
      default: "hf",
      doc: "layout: Hugging Face's, of a model or (peft) of an adapter",
    },
    shardSize: { type: "float", value: "GB", default: 5, min: 0.001, doc: "largest weight file, in GB (10^9 bytes)" },
  },
  notes: [
    "Weights are written bit for bit as they are, quantized ones as f32. The folder appears whole or not at all.",
  ],
  async run(context) {
    const { flags, notes } = context;
    const folder = required(flags.output, "-o DIR, the folder to make", "lola export model.lola -o model/");
    if (flags.to === "peft") {
      const named = required(context.args[0], "the adapter", "lola export run/ --to peft -o adapter/");
      const { exportAdapter } = await import("../adapters-files.ts");
      return { folder: resolve(folder), ...(await exportAdapter(named, folder)), dequantized: [] };
    }
    const source = await openNamed(context.args[0] ?? flags.model, notes);
    try {
      const { exportHf } = await import("../../checkpoint/export.ts");
      const { toHfFiles } = await import("../../tokenizer/save.ts");
      const { tokenizerOf } = await import("../../model/open.ts");
      const texts = toHfFiles(tokenizerOf(source).data, source.config.context);
      const { files, dequantized } = await exportHf(source, folder, texts, {
        shardBytes: flags.shardSize * 1e9,
        progress: (name) => notes.progress(`writing ${name}`),
      });
      return { folder: resolve(folder), files, tensors: source.tensors.size, dequantized };
    } finally {
      notes.progress("");
      source.close();
    }
  },
  show: ({ folder, files, tensors, dequantized }) => {
    const line = `${folder}: ${grouped(tensors)} tensors, ${files.map((f) => basename(f)).join(", ")}`;
    if (dequantized.length === 0) return line;
    return `${line}\n${grouped(dequantized.length)} quantized tensors became f32, as their codes say; what quantizing lost stays lost`;
  },
});
