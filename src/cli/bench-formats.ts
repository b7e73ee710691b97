/** The part of `lola bench` that runs one random model in every format of its weights, side by side. */
import { LolaError } from "../base/errors.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { EngineOptions } from "../device/choose.ts";
import type { Roof } from "../device/cpu/roof.ts";
import type { Device } from "../device/device.ts";
import type { ModelSpeed } from "../generate/measure.ts";
import { parseShape, roofFor, storedTypes } from "./bench-model.ts";
import type { BenchContext, BenchResult } from "./commands/bench.ts";
import { bytes, table } from "./style.ts";

/** Layers of LOLA's size, a dense one and a mixture, and a vocabulary small enough that they make most of the work. */
const usualShape = "2048-2-16-8192-8192-16";

const formats = ["f32", "f16", "q8", "q4"] as const;

/** One format on one engine. */
export interface FormatSpeed extends ModelSpeed {
  device: { kind: string; name: string };
  type: (typeof formats)[number];
  /** Of the device: weights, cache and activations. */
  memoryBytes: number;
}

/** Times every format on the engine asked for; by default on the fastest, and on the processor beside a GPU. */
export async function benchFormats(context: BenchContext): Promise<Partial<BenchResult>> {
  const { flags, notes } = context;
  if (flags.model !== undefined)
    throw new LolaError("usage", "lola bench formats times random weights", "--shape instead of --model");
  const { positionsFor } = await import("../generate/measure.ts");
  const { openDevice } = await import("../device/choose.ts");
  const shape = flags.shape ?? usualShape;
  const config = parseShape(shape, positionsFor(flags));
  const options: EngineOptions = flags.threads ? { threads: flags.threads } : {};
  const result: Partial<BenchResult> = { model: { name: `random ${shape}` }, formats: [] };
  const measure = async ({ device, why }: Awaited<ReturnType<typeof openDevice>>) => {
    try {
      notes.tell(why);
      const roof = device.info.software ? await roofFor(device, flags) : undefined;
      if (roof) result.roof = roof;
      result.formats!.push(...(await timeFormats(device, config, context, roof)));
      return device.info.kind;
    } finally {
      notes.progress("");
      device.close();
    }
  };
  const kind = await measure(await openDevice(flags.device, options));
  if (flags.device === "auto" && kind === "gpu") await measure(await openDevice("cpu", options));
  return result;
}

/** All formats are held at once, so that they can take turns. @throws LolaError "device" when they do not fit */
async function timeFormats(
  device: Device,
  config: ModelConfig,
  { flags, notes }: BenchContext,
  roof: Roof | undefined,
): Promise<FormatSpeed[]> {
  const { randomWeights } = await import("../model/random.ts");
  const { loadWeights } = await import("../model/weights.ts");
  const { Session } = await import("../model/session.ts");
  const { measureModels } = await import("../generate/measure.ts");
  const { kind, name } = device.info;
  const held: number[] = [];
  const sessions = [];
  for (const type of formats) {
    notes.progress(`loading ${type}`);
    const before = device.memory;
    const weights = loadWeights(device, config, randomWeights(config, await storedTypes(type, "alike")));
    sessions.push(new Session(device, config, weights, { cache: flags.cache }));
    held.push(device.memory - before);
  }
  const work = { prompt: flags.prompt, tokens: flags.tokens, rounds: flags.rounds };
  const speeds = await measureModels(sessions, config.vocabulary, work, roof, (round) =>
    notes.progress(round === 0 ? "warming up" : `round ${round} of ${flags.rounds}`),
  );
  return speeds.map((speed, i) => ({ device: { kind, name }, type: formats[i]!, memoryBytes: held[i]!, ...speed }));
}

const rounded = (value: number) => Number(value.toPrecision(3));

/** A table for each engine; factors are those of decoding against f32. */
export function formatTables(speeds: readonly FormatSpeed[]): string[] {
  const engines = Map.groupBy(speeds, ({ device }) => `${device.kind}: ${device.name}`);
  return Array.from(engines, ([engine, rows]) => {
    const head = ["", "memory", "decode/s", "× f32", "GB/s", "of roof", "prefill/s", "× f32"];
    const [f32] = rows;
    const body = rows.map(({ type, memoryBytes, decode, prefill }) => [
      type,
      bytes(memoryBytes),
      rounded(decode.tokensPerSecond),
      rounded(decode.tokensPerSecond / f32!.decode.tokensPerSecond),
      rounded(decode.bandwidth / 1e9),
      decode.roofFraction === undefined ? "" : `${(100 * decode.roofFraction).toFixed(0)} %`,
      rounded(prefill.tokensPerSecond),
      rounded(prefill.tokensPerSecond / f32!.prefill.tokensPerSecond),
    ]);
    return `${engine}\n${table([head, ...body])}`;
  });
}
