/** A process that trains in a folder, from wherever the run there stands, telling each event in a line; made to be killed. */
import { type DeviceChoice, openDevice } from "../../src/device/choose.ts";
import { isRun } from "../../src/train/folder.ts";
import type { Optimizer } from "../../src/train/optimizer.ts";
import { TrainingRun } from "../../src/train/run.ts";
import { tinyData, tinyRun } from "./tiny.ts";

const [folder, engine, optimizer] = process.argv.slice(2) as [string, DeviceChoice, Optimizer];
const config = tinyRun();
const { device } = await openDevice(engine, { threads: 1 });
const run = await (isRun(folder)
  ? TrainingRun.resume(device, folder, tinyData())
  : TrainingRun.create(device, folder, { ...config, recipe: { ...config.recipe, optimizer } }, tinyData()));
console.log(JSON.stringify({ event: "begin", step: run.step }));
await run.train({ onEvent: (event) => console.log(JSON.stringify(event)) });
run.close();
device.close();
