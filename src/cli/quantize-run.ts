/** What `lola quantize` does once it knows what to do: plan, write, measure, report. */
import { existsSync } from "node:fs";
import { LolaError } from "../base/errors.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { TensorInfo } from "../checkpoint/tensor.ts";
import { openDevice } from "../device/choose.ts";
import { loadModel } from "../model/open.ts";
import { type Calibration, calibrate } from "../quantize/calibrate.ts";
import { momentBytes } from "../quantize/moments.ts";
import { describePlan } from "../quantize/plan.ts";
import { quantizeModel } from "../quantize/quantize.ts";
import { openNamed } from "./model.ts";
import type { Chosen } from "./quantize-ask.ts";
import type { QuantizeFlags } from "./quantize-flags.ts";
import { calibrationTexts, checkLoss, checkRoom, type Measured, measure, measuredTexts } from "./quantize-measure.ts";
import { chosenPlan } from "./quantize-plan.ts";
import { remaining } from "./quantize-progress.ts";
import { saveReport } from "./quantize-report.ts";
import { calibrationFacts, type Quantized } from "./quantize-show.ts";
import type { Notes } from "./streams.ts";

/** Quantizes a model as the flags say. @throws LolaError, DataError */
export async function quantizeInto({ context, model, flags, output: path }: Chosen): Promise<Quantized> {
  const started = performance.now();
  const { notes } = context;
  if (existsSync(path) && !flags.force)
    throw new LolaError("usage", `${path} exists`, "--force to replace it, or another -o FILE");
  const source = await openNamed(model, notes);
  try {
    const signal = context.cancellation();
    const calibration = await calibrated(source, flags, notes, signal);
    const plan = chosenPlan(source, { flags, origins: context.origins }, calibration);
    const texts = await measuredTexts(source, flags);
    if (texts) checkRoom(contentBytes(source.tensors.values()) + contentBytes(plan), "both models");
    const { device, why } = await openDevice(flags.device, engine(flags));
    try {
      notes.tell(why);
      const { maxLoss } = flags;
      let measured: Measured | undefined;
      const look = async (file: string) => {
        measured = texts && (await measure(device, source, file, texts, notes, signal));
      };
      const left = remaining();
      const report = await quantizeModel(device, source, path, plan, {
        store: flags.store,
        signal,
        ...(calibration && { importance: calibration.importance, moments: calibration.moments }),
        ...(calibration?.routing && { routing: calibration.routing }),
        progress: (done, all) => notes.progress(`quantizing, ${Math.floor((100 * done) / all)} %${left(done / all)}`),
        ...(maxLoss !== undefined && {
          accept: async (file) => {
            await look(file);
            if (measured) checkLoss(measured, maxLoss);
          },
        }),
      });
      if (maxLoss === undefined) await look(path);
      const { matrices, ...sums } = report;
      const { kind, name } = device.info;
      const result: Quantized = {
        model: source.label,
        path,
        ...sums,
        worst: sums.worst ?? null,
        types: describePlan(plan),
        device: { kind, name },
        calibration: calibration ? calibrationFacts(calibration) : null,
        seconds: (performance.now() - started) / 1000,
        measured: measured ?? null,
        report: flags.report ?? null,
      };
      if (flags.report !== undefined) await saveReport(flags.report, result);
      return result;
    } finally {
      device.close();
    }
  } finally {
    notes.progress("");
    source.close();
  }
}

const engine = ({ threads }: QuantizeFlags) => (threads ? { threads } : {});
const contentBytes = (tensors: Iterable<TensorInfo>) => Array.from(tensors).reduce((sum, { bytes }) => sum + bytes, 0);

/** What text, where it is named, tells of the weights; on a device of its own, which holds the model. */
async function calibrated(
  source: ModelSource,
  flags: QuantizeFlags,
  notes: Notes,
  signal: AbortSignal,
): Promise<Calibration | undefined> {
  if (flags.calibrate.length === 0) return undefined;
  const texts = await calibrationTexts(flags.calibrate);
  const tensors = [...source.tensors.values()];
  checkRoom(contentBytes(tensors) + momentBytes(tensors), "the model and what is summed over texts");
  const { device } = await openDevice(flags.device, engine(flags));
  try {
    const left = remaining();
    return await calibrate(loadModel(device, source), texts, {
      progress: (done, all) => notes.progress(`calibrating, ${done + 1} of ${all} languages${left(done / all)}`),
      signal,
    });
  } finally {
    notes.progress("");
    device.close();
  }
}
