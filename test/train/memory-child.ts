/** A process that trains a model of some 60 MB for 1,000 steps, with checkpoints, telling what memory it holds. */
import { existsSync, readFileSync } from "node:fs";
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
    peak: peakMemory(),
  }),
);
run.close();
device.close();

/** Bytes. Linux's maxRSS starts from the parent's, which may be large; VmHWM is this program's own. */
function peakMemory(): number {
  const status = "/proc/self/status";
  if (!existsSync(status)) return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, "utf8"))![1]);
}
