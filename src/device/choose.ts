/** Chooses the engine: a hardware GPU, else the CPU kernels, else the reference (design §2). */
import { LolaError } from "../base/errors.ts";
import type { Device, Precision } from "./device.ts";

export const deviceChoices = ["auto", "gpu", "cpu", "software", "reference"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

export interface EngineOptions {
  /** Of the CPU engine; default: all cores. */
  threads?: number;
  /** Of products; default: f32. Only the CPU engine has another. */
  precision?: Precision;
}

export interface Choice {
  device: Device;
  /** One line for people: which engine, and why not a faster one. */
  why: string;
}

/**
 * Opens a device.
 * @throws LolaError "device" when the engine asked for cannot work here
 * @throws LolaError "usage" when it has no such precision
 */
export async function openDevice(choice: DeviceChoice, options: EngineOptions = {}): Promise<Choice> {
  const gpu = async (software: boolean) => (await import("./gpu/gpu.ts")).openGpu({ software });
  const cpu = async () => (await import("./cpu/cpu.ts")).openCpu(options);
  const reference = async () => (await import("./reference.ts")).openReference();
  if (options.precision === "bf16") {
    if (choice === "auto" || choice === "cpu") return told(await cpu(), "asked for");
    throw new LolaError("usage", `--device ${choice} computes in f32 only`, "--device cpu, or --precision f32");
  }
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
