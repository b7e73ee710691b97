/** A process that fine-tunes in a folder, from wherever the run there stands, telling each event in a line; made to be killed. */
import { openDevice } from "../../src/device/choose.ts";
import type { Method } from "../../src/train/config.ts";
import { isRun } from "../../src/train/folder.ts";
import { TuningRun } from "../../src/train/tuning-run.ts";
import { tinyTuning } from "./tiny-tuning.ts";

const [folder, method, model, rows] = process.argv.slice(2) as [string, Method, string, string];
const { config, data } = await tinyTuning(method, { model, data: rows });
const { device } = await openDevice("cpu", { threads: 1 });
const run = await (isRun(folder)
  ? TuningRun.resume(device, folder, data)
  : TuningRun.create(device, folder, config, data));
console.log(JSON.stringify({ event: "begin", step: run.step }));
await run.train({ onEvent: (event) => console.log(JSON.stringify(event)) });
run.close();
device.close();
