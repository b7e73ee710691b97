/** A process that trains a model of some 60 MB for 1,000 steps, with checkpoints, telling what memory it holds. */
import { openDevice } from "../../src/device/choose.ts";
import { planTraining } from "../../src/train/plan.ts";
import { TrainingRun } from "../../src/train/run.ts";
import { tinyData, tinyModel, tinyRun } from "./tiny.ts";

const model = { ...tinyModel, width: 128, inner: 512, layers: 4, experts: 10 };
const shape = { batch: 2, time: 16, recompute: false, dropout: 0 };
const { recipe } = tinyRun();
const config = tinyRun({
  ...{ model, shape, accumulate: 1, recipe: { ...recipe, tokens: 1000 * 32 } },
  ...{ validateEvery: 250, saveEvery: 250 },
});
const { device } = await openDevice("cpu", { threads: 1 });
const run = await TrainingRun.create(device, process.argv[2]!, config, tinyData());
const resident: number[] = [];
await run.train({
  onEvent({ event, step }) {
    if (event !== "step" || step % 100 !== 0) return;
    Bun.gc(true);
    resident.push(process.memoryUsage.rss());
  },
});
console.log(
  JSON.stringify({
    plan: planTraining(config),
    held: device.memory,
    resident,
    peak: process.resourceUsage().maxRSS * 1024,
  }),
);
run.close();
device.close();
