/** Chooses the engine: a hardware GPU, else the CPU kernels, else the reference (design §2). */
import { LolaError } from "../base/errors.ts";
import type { Device } from "./device.ts";

export const deviceChoices = ["auto", "gpu", "cpu", "software", "reference"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

export interface Choice {
  device: Device;
  /** One line for people: which engine, and why not a faster one. */
  why: string;
}

/**
 * Opens a device.
 * @param threads of the CPU engine; default: all cores
 * @throws LolaError "device" when the engine asked for cannot work here
 */
export async function openDevice(choice: DeviceChoice, options: { threads?: number } = {}): Promise<Choice> {
  const gpu = async (software: boolean) => (await import("./gpu/gpu.ts")).openGpu({ software });
  const cpu = async () => (await import("./cpu/cpu.ts")).openCpu(options);
  const reference = async () => (await import("./reference.ts")).openReference();
  switch (choice) {
    case "gpu":
    case "software":
      return told(await gpu(choice === "software"), "asked for");
    case "cpu":
      return told(await cpu(), "asked for");
    case "reference":
      return told(await reference(), "asked for; slow");
    case "auto": {
      const refusals: string[] = [];
      for (const open of [() => gpu(false), cpu]) {
        try {
          return told(await open(), refusals.join("; "));
        } catch (error) {
          if (!(error instanceof LolaError)) throw error;
          refusals.push(error.message);
        }
      }
      return told(await reference(), `${refusals.join("; ")}; slow`);
    }
  }
}

function told(device: Device, why: string): Choice {
  const { kind, name } = device.info;
  return { device, why: why ? `${kind}: ${name} (${why})` : `${kind}: ${name}` };
}
