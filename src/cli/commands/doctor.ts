/** `lola doctor`: what this machine offers, what would be used and why, and where each setting comes from. */
import { existsSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { modelLabel } from "../../base/assets.ts";
import { LolaError } from "../../base/errors.ts";
import { places } from "../../base/paths.ts";
import { version } from "../../base/version.ts";
import { configFiles, readConfig, settingOf } from "../settings.ts";
import { bytes, type Style, table } from "../style.ts";
import { defineCommand, kebab } from "../table.ts";

interface EngineReport {
  engine: string;
  /** Its name, or why it cannot be used. */
  name: string;
  usable: boolean;
  /** Would `--device auto` take it? */
  chosen: boolean;
  details: Record<string, string | number>;
}

interface SettingReport {
  command: string;
  setting: string;
  value: unknown;
  origin: string;
}

export interface Diagnosis {
  versions: Record<string, string>;
  machine: { processor: string; threads: number; memoryBytes: number; availableBytes: number };
  engines: EngineReport[];
  /** What `--device auto` opens, in one line. */
  choice: string;
  zstd: string;
  builtInModel: string | null;
  places: Record<string, string>;
  configFiles: { path: string; found: boolean }[];
  settings: SettingReport[];
  problems: string[];
}

export const doctor = defineCommand({
  name: "doctor",
  summary: "tells what this machine offers and what would be used",
  examples: [
    { line: "lola doctor", doc: "engines, memory, versions, folders, settings" },
    { line: "lola doctor --json | jq .engines", doc: "for programs, and for bug reports" },
  ],
  args: [],
  flags: {},
  async run(): Promise<Diagnosis> {
    const problems: string[] = [];
    const { engines, choice } = await examineEngines(problems);
    const { zstdEngine } = await import("../../checkpoint/zstd.ts");
    return {
      versions: { lola: version, bun: Bun.version, system: `${platform()} ${release()}, ${arch()}` },
      machine: {
        processor: cpus()[0]?.model ?? "unknown",
        threads: cpus().length,
        memoryBytes: totalmem(),
        availableBytes: process.availableMemory(),
      },
      engines,
      choice,
      zstd: zstdEngine(),
      builtInModel: modelLabel ?? null,
      places: { ...places() },
      configFiles: configFiles().map((path) => ({ path, found: existsSync(path) })),
      settings: await examineSettings(problems),
      problems,
    };
  },
  show: showDiagnosis,
});

/** Opens each engine in turn and closes it again. */
async function examineEngines(problems: string[]): Promise<{ engines: EngineReport[]; choice: string }> {
  const { openDevice } = await import("../../device/choose.ts");
  const { probeGpu } = await import("../../device/gpu/gpu.ts");
  const { device: chosen, why } = await openDevice("auto");
  const kind = chosen.info.kind;
  chosen.close();
  const engines: EngineReport[] = [];
  const adapter = await probeGpu();
  if (typeof adapter === "string") {
    engines.push({ engine: "gpu", name: adapter, usable: false, chosen: false, details: {} });
  } else {
    const { name, refused, details } = adapter;
    const usable = refused === undefined;
    const told = refused === undefined ? name : `${name}: ${refused}`;
    engines.push({ engine: "gpu", name: told, usable, chosen: kind === "gpu", details });
  }
  try {
    const { device } = await openDevice("cpu");
    const { name, details } = device.info;
    device.close();
    engines.push({ engine: "cpu", name, usable: true, chosen: kind === "cpu", details });
  } catch (error) {
    if (!(error instanceof LolaError)) throw error;
    problems.push(error.hint ? `${error.message}: ${error.hint}` : error.message);
    engines.push({ engine: "cpu", name: error.message, usable: false, chosen: false, details: {} });
  }
  const reference = { engine: "reference", name: "plain loops, slow", usable: true, details: {} };
  return { engines: [...engines, { ...reference, chosen: kind === "reference" }], choice: why };
}

/** Every setting of every command; one that several commands share in the same way is told once. */
async function examineSettings(problems: string[]): Promise<SettingReport[]> {
  const { commands } = await import("./index.ts");
  const told = new Map<string, SettingReport>();
  let config: ReturnType<typeof readConfig> = [];
  try {
    config = readConfig(commands);
  } catch (error) {
    problems.push((error as Error).message);
  }
  for (const command of commands) {
    for (const [key, flag] of Object.entries(command.flags)) {
      if (!flag.setting) continue;
      try {
        const { value, origin } = settingOf(command, key, flag, config);
        const report = { setting: kebab(key), value: value ?? null, origin };
        const id = JSON.stringify(report, (_, v) => (typeof v === "bigint" ? String(v) : v));
        const before = told.get(id);
        told.set(id, { command: before ? `${before.command}, ${command.name}` : command.name, ...report });
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
  }
  return [...told.values()];
}

function showDiagnosis(d: Diagnosis, style: Style): string {
  const section = (title: string, rows: readonly (readonly (string | number)[])[]) =>
    `${style.bold(title)}\n${table(rows.map((row) => ["", ...row])).replace(/^ {2}/gm, "  ")}`;
  const engineRows = d.engines.flatMap((e) => [
    [e.chosen ? `${e.engine} *` : e.engine, e.usable ? e.name : `not used: ${e.name}`],
    ...Object.entries(e.details).map(([key, value]) => ["", `${key}: ${value}`]),
  ]);
  const { processor, threads, memoryBytes, availableBytes } = d.machine;
  const parts = [
    section("Versions", Object.entries(d.versions)),
    section("Machine", [
      ["processor", `${processor}, ${threads} threads`],
      ["memory", `${bytes(memoryBytes)}, ${bytes(availableBytes)} available`],
    ]),
    section("Engines (* --device auto)", engineRows),
    section("Parts", [
      ["zstd", d.zstd],
      ["built-in model", d.builtInModel ?? "none"],
    ]),
    section("Places", [
      ...Object.entries(d.places),
      ...d.configFiles.map(({ path, found }) => ["settings", found ? path : `${path} (not there)`]),
    ]),
    section(
      "Settings",
      d.settings.map((s) => [s.setting, `${s.value ?? "-"}`, s.origin, s.command]),
    ),
  ];
  if (d.problems.length > 0)
    parts.push(
      section(
        "Problems",
        d.problems.map((p) => [p]),
      ),
    );
  return parts.join("\n\n");
}
