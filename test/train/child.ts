/** A process that trains in a folder, from wherever the run there stands, telling each event in a line; made to be killed. */
import { type DeviceChoice, openDevice } from "../../src/device/choose.ts";
import { isRun } from "../../src/train/folder.ts";
import { TrainingRun } from "../../src/train/run.ts";
import { tinyData, tinyRun } from "./tiny.ts";

const [folder, engine] = process.argv.slice(2) as [string, DeviceChoice];
const { device } = await openDevice(engine, { threads: 1 });
const run = await (isRun(folder)
  ? TrainingRun.resume(device, folder, tinyData())
  : TrainingRun.create(device, folder, tinyRun(), tinyData()));
console.log(JSON.stringify({ event: "begin", step: run.step }));
await run.train({ onEvent: (event) => console.log(JSON.stringify(event)) });
run.close();
device.close();
