/** `lola models`: what is stored, what it is made of, whether it is whole. */
import { resolve } from "node:path";
import { LolaError } from "../../base/errors.ts";
import type { AdapterSource } from "../../checkpoint/adapter-file.ts";
import type { LolaFile } from "../../checkpoint/lola-file.ts";
import type { ModelDescription, ModelEntry } from "../../checkpoint/models.ts";
import type { ModelSource } from "../../checkpoint/source.ts";
import { holdsAdapter, openAdapterAt } from "../adapters.ts";
import { type AdapterDescription, describeAdapter, showAdapter } from "../adapters-show.ts";
import { askChoice, tellEquivalent } from "../ask.ts";
import { required } from "../context.ts";
import { openNamed } from "../model.ts";
import type { Notes } from "../streams.ts";
import { bytes, grouped, table } from "../style.ts";
import { defineCommand } from "../table.ts";

type Result =
  | { models: ModelEntry[]; folder: string }
  | { model: ModelDescription }
  | { adapter: AdapterDescription }
  | { verified: string; identity: string | null; tensors: number; hashes: boolean }
  | { removed: ModelEntry }
  | { path: string };

export const models = defineCommand({
  name: "models",
  summary: "lists, shows, verifies and removes stored models",
  examples: [
    { line: "lola models", doc: "list the stored models" },
    { line: "lola models show lola_v1", doc: "config, parameters, tensors and content hash" },
    { line: "lola models show run/", doc: "an adapter: its model, rank and matrices" },
    { line: "lola models verify lola_v1", doc: "read everything and check it against its hashes" },
    { line: 'cp "$(lola models path lola_v1)" /backup/', doc: "where a model is" },
  ],
  actions: {
    list: "stored models with their size and shape",
    show: "config, parameter counts, tensor table, content hash",
    verify: "reads all of a model and checks every hash",
    rm: "removes a stored model",
    path: "the file or folder of a model, or the folder of models",
  },
  usual: "list",
  args: [
    { name: "model", doc: "a .lola file, a model folder, a run, or the name of a stored model", complete: "model" },
  ],
  flags: { names: { type: "flag", doc: "list names only, one a line" } },
  notes: ["Without MODEL, show and verify take the built-in model."],
  async run(context): Promise<Result | undefined> {
    const { action, args, flags, notes, out } = context;
    const stored = await import("../../checkpoint/models.ts");
    const folder = stored.modelFolder();
    let [name] = args;
    switch (action) {
      case "list": {
        if (name !== undefined)
          throw new LolaError("usage", "lola models list takes no model", `lola models show ${name}`);
        const found = stored.listModels();
        if (!flags.names || context.json) return { models: found, folder };
        for (const model of found) out.line(model.name);
        return undefined;
      }
      case "show": {
        if (name !== undefined && (await holdsAdapter(name)))
          return { adapter: await ofAdapter(name, describeAdapter) };
        const source = await openNamed(name, notes);
        try {
          return { model: stored.describeModel(source) };
        } finally {
          source.close();
        }
      }
      case "verify":
        if (name !== undefined && (await holdsAdapter(name))) return ofAdapter(name, verifyAdapter);
        return verify(name, notes);
      case "rm": {
        const choices = stored.listModels().map((m) => ({ value: m.name, hint: bytes(m.bytes) }));
        if (name === undefined && context.interactive && choices.length > 0) {
          name = await askChoice("Which model is to be removed?", choices);
          tellEquivalent(notes, ["models", ...context.words, name]);
        }
        return { removed: stored.removeModel(required(name, "the model's name", "lola models rm NAME")) };
      }
      case "path": {
        if (name === undefined) return { path: folder };
        const path = stored.modelPath(name);
        const { existsSync } = await import("node:fs");
        if (!existsSync(path))
          throw new LolaError("usage", `no model ${name}: ${path} does not exist`, "lola models list");
        return { path: resolve(path) };
      }
    }
  },
  show(result) {
    if ("path" in result) return result.path;
    if ("removed" in result) return `removed ${result.removed.path} (${bytes(result.removed.bytes)})`;
    if ("verified" in result) {
      const found = result.hashes ? "whole" : "readable, but a folder holds no hashes to check";
      const line = `${result.verified}: ${found}, ${grouped(result.tensors)} tensors`;
      return result.identity === null ? line : `${line}\nidentity ${result.identity}`;
    }
    if ("adapter" in result) return showAdapter(result.adapter);
    if ("model" in result) return showModel(result.model);
    if (result.models.length === 0) return `no models in ${result.folder}`;
    return table(
      result.models.map(({ name, bytes: size, config, identity, adapterOf, problem, kind }) => [
        name,
        bytes(size),
        config
          ? `${config.layers} layers, ${config.width} wide, ${config.experts} experts`
          : adapterOf === undefined
            ? (problem ?? kind)
            : `adapter of ${adapterOf}`,
        identity?.slice(0, 12) ?? "",
      ]),
    );
  },
});

const isFile = (source: ModelSource): source is LolaFile => "verify" in source;

async function ofAdapter<T>(name: string, look: (adapter: AdapterSource) => T): Promise<T> {
  const adapter = await openAdapterAt(name);
  try {
    return look(adapter);
  } finally {
    adapter.close();
  }
}

/** Its chunks are checked as they are read. */
function verifyAdapter({ label, tensors, read }: AdapterSource): Result {
  for (const name of tensors.keys()) for (const _ of read(name));
  return { verified: label, identity: null, tensors: tensors.size, hashes: true };
}

/** A file is checked chunk by chunk; a folder has no hashes, so it is read in full to find its identity. */
async function verify(name: string | undefined, notes: Notes): Promise<Result> {
  const source = await openNamed(name, notes);
  try {
    const hashes = isFile(source);
    if (hashes) source.verify((tensor) => notes.progress(`checking ${tensor}`));
    return { verified: source.label, identity: source.identity, tensors: source.tensors.size, hashes };
  } finally {
    notes.progress("");
    source.close();
  }
}

function showModel({
  label,
  identity,
  config,
  parameters,
  bytes: size,
  tensors,
  provenance,
  languages,
  notes,
}: ModelDescription): string {
  const facts = table([
    ["model", label],
    ["identity", identity],
    ["made by", `${provenance.made} from ${provenance.from}, version ${provenance.version}`],
    ["parameters", `${grouped(parameters.total)}, ${grouped(parameters.active)} active for a token`],
    ["weights", bytes(size)],
    ...Object.entries(config).map(([key, value]) => [key, typeof value === "number" ? String(value) : value]),
    ...(languages.length > 0 ? [["routing counted in", languages.join(" ")]] : []),
    ...[...provenance.notes, ...notes].map((note) => ["note", note]),
  ]);
  return `${facts}\n\n${table(tensors.map((t) => [t.name, t.type, `[${t.shape.join(", ")}]`]))}`;
}
