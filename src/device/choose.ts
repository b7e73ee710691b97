/** Chooses the engine: a hardware GPU, else the CPU kernels, else the reference (design §2). */
import { LolaError } from "../base/errors.ts";
import type { Device, Precision } from "./device.ts";

export const deviceChoices = ["auto", "gpu", "cpu", "software", "reference"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

export interface EngineOptions {
  /** Of the CPU engine; default: all cores. */
  threads?: number;
  /** Of products; default: f32. */
  precision?: Precision;
}

/** What each engine computes in, beside f32. */
const others: Record<Exclude<DeviceChoice, "auto">, readonly Precision[]> = {
  gpu: ["f16"],
  cpu: ["bf16"],
  software: ["f16"],
  reference: [],
};

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
  const { precision = "f32" } = options;
  const gpu = async (software: boolean) => (await import("./gpu/gpu.ts")).openGpu({ software, precision });
  const cpu = async () => (await import("./cpu/cpu.ts")).openCpu(options);
  const reference = async () => (await import("./reference.ts")).openReference();
  switch (precision === "f32" ? choice : engineOf(choice, precision)) {
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
          if (!(error instanceof LolaError && error.kind === "device")) throw error;
          refusals.push(error.message);
        }
      }
      return told(await reference(), `${refusals.join("; ")}; slow`);
    }
  }
}

/**
 * The engine that was asked for, or that has a precision other than f32 where any will do.
 * @throws LolaError "usage" when it has not
 */
function engineOf(choice: DeviceChoice, precision: Precision): DeviceChoice {
  const first = precision === "f16" ? "gpu" : "cpu";
  if (choice === "auto") return first;
  if (others[choice].includes(precision)) return choice;
  const computes = ["f32", ...others[choice]].join(" and ");
  throw new LolaError(
    "usage",
    `--device ${choice} computes in ${computes} only`,
    `--device ${first}, or --precision f32`,
  );
}

function told(device: Device, why: string): Choice {
  const { kind, name } = device.info;
  return { device, why: why ? `${kind}: ${name} (${why})` : `${kind}: ${name}` };
}
