/// <reference types="@webgpu/types" />
/**
 * Dawn through bun-webgpu 0.1.7: finding an adapter that computes, and opening it. Every peculiarity of that binding is
 * met here or in `health.ts`, so that the rest of this folder is plain WebGPU.
 */
import { createGPUInstance, globalConstructors } from "bun-webgpu";
import type { GpuTraits } from "../../../kernels/kernel.ts";
import { dawnLibrary, openLibrary } from "../../base/embedded.ts";
import { LolaError } from "../../base/errors.ts";
import type { Precision } from "../device.ts";
import { hasVulkanDevice } from "./vulkan.ts";

/** WebGPU's constants; Bun has no globals for them. */
export const { GPUBufferUsage: bufferUsage, GPUMapMode: mapMode, GPUShaderStage: shaderStage } = globalConstructors;

/** What a probe found out about one adapter. */
export interface AdapterReport {
  name: string;
  /** Driver, limits and features, for `lola doctor`. */
  details: Record<string, string | number>;
  /** It runs on the CPU: lavapipe, SwiftShader. */
  software: boolean;
  /** Why `--device gpu` would not take it. */
  refused?: string;
}

export interface Opened {
  device: GPUDevice;
  traits: GpuTraits;
  report: AdapterReport;
}

/** `adapterType` of a Vulkan device that is a CPU. */
const cpuAdapter = 3;

/** `backendType` of Dawn's Null adapter, which accepts everything and computes nothing. */
const nullBackend = 1;

/** Fields that bun-webgpu adds to the standard's adapter info. */
interface DawnInfo extends GPUAdapterInfo {
  readonly backendType?: number | string;
  readonly adapterType?: number | string;
}

/** The private part of bun-webgpu's GPU object that decides how it waits. */
interface Ticker {
  _ticking: boolean;
  scheduleTick(): void;
  processEvents(): void;
  hasWaiting(): boolean;
}

/** Dawn must not be unloaded while anything of it lives, so one instance serves the whole process. */
let instance: { gpu: GPU; ticker: Ticker } | undefined;

function dawn(): { gpu: GPU; ticker: Ticker } {
  if (!instance) {
    const library = dawnLibrary();
    const gpu = library ? openLibrary(library, createGPUInstance) : createGPUInstance();
    const ticker = (gpu as unknown as { _ticker: Ticker })._ticker;
    instance = { gpu: gpu as unknown as GPU, ticker };
    waitByTimer(ticker);
    // bun-webgpu throws it by this name, which Bun does not know.
    Object.assign(globalThis, { AbortError: globalConstructors.AbortError });
  }
  return instance;
}

/**
 * bun-webgpu polls with setImmediate and so keeps a core busy, which a software adapter needs for the work itself: for
 * those a 1 ms timer is twice as fast. Hardware is polled as long as a decoded token may take, so that it does not wait.
 */
function waitByTimer(ticker: Ticker): void {
  let since = 0;
  const turn = () => {
    ticker.processEvents();
    ticker._ticking = false;
    if (ticker.hasWaiting()) next();
  };
  const next = () => {
    ticker._ticking = true;
    if (performance.now() - since < polledMilliseconds) setImmediate(turn);
    else setTimeout(turn, 1);
  };
  ticker.scheduleTick = () => {
    if (ticker._ticking) return;
    since = performance.now();
    next();
  };
}

/** How long a wait is polled before it falls back to a timer; set when hardware is opened. */
let polledMilliseconds = 0;

/**
 * To be called before calls of bun-webgpu that take structures within structures: it keeps only the addresses of the
 * inner ones, so that a collection in the middle of such a call would leave Dawn with freed memory. A collection just
 * before makes another one, for the few kilobytes that the calls allocate, as good as impossible.
 */
export function collectFirst(): void {
  Bun.gc(true);
}

/** Asking for Vulkan by name keeps Dawn from trying OpenGL, which prints, and from handing out its Null adapter. */
const preference: Partial<Record<NodeJS.Platform, string>> = { linux: "Vulkan", darwin: "Metal", win32: "D3D12" };

async function findAdapter(): Promise<GPUAdapter | null> {
  if (process.platform === "linux" && !hasVulkanDevice()) return null;
  collectFirst();
  const backendType = preference[process.platform];
  const options = { powerPreference: "high-performance", ...(backendType && { backendType }) };
  return dawn().gpu.requestAdapter(options as GPURequestAdapterOptions);
}

/** Why no engine may use this adapter, if so. */
function unusable(info: DawnInfo): string | undefined {
  const isNull = Number(info.backendType) === nullBackend || /null/i.test(`${info.backendType} ${info.device}`);
  return isNull ? "it is Dawn's Null adapter, which computes nothing" : undefined;
}

function describe(adapter: GPUAdapter): AdapterReport {
  const info = adapter.info as DawnInfo;
  const software =
    Number(info.adapterType) === cpuAdapter ||
    /cpu/i.test(String(info.adapterType)) ||
    /llvmpipe|lavapipe|swiftshader/i.test(`${info.device} ${info.description}`);
  const name = info.device || info.description || "unnamed adapter";
  const useless = unusable(info);
  const refused = useless ?? (software ? "it runs on the CPU, slower than the cpu engine" : undefined);
  return {
    name,
    software,
    ...(refused && { refused }),
    details: {
      driver: info.description,
      vendor: info.vendor,
      architecture: info.architecture,
      "largest binding": adapter.limits.maxStorageBufferBindingSize,
      "largest buffer": adapter.limits.maxBufferSize,
      "workgroup memory": adapter.limits.maxComputeWorkgroupStorageSize,
      "workgroup size": adapter.limits.maxComputeInvocationsPerWorkgroup,
      features: [...adapter.features].filter((f) => /^(shader-f16|subgroups|timestamp-query)$/.test(f)).join(" "),
    },
  };
}

/**
 * What `--device gpu` and `--device software` would find. Never throws, never prints.
 * @returns the adapter, or one line why there is none
 */
export async function probeGpu(): Promise<AdapterReport | string> {
  try {
    const adapter = await findAdapter();
    return adapter ? describe(adapter) : noAdapter;
  } catch (error) {
    return `Dawn does not start: ${error instanceof Error ? error.message : error}`;
  }
}

const noAdapter = "no GPU driver found";

const softwareHint = "install mesa-vulkan-drivers (23 or later), or --device cpu";

/**
 * Opens the adapter with all that it can do.
 * @param software take an adapter that runs on the CPU, and no other
 * @throws LolaError "device" when there is none, or not of that sort, or without the precision
 */
export async function openDawn(software: boolean, precision: Precision): Promise<Opened> {
  const otherwise = precision === "f32" ? "--device cpu" : "--precision f32";
  let adapter: GPUAdapter | null;
  try {
    adapter = await findAdapter();
  } catch (cause) {
    throw new LolaError("device", `Dawn does not start: ${(cause as Error).message}`, otherwise, { cause });
  }
  if (!adapter) throw new LolaError("device", noAdapter, software ? softwareHint : otherwise);
  const report = describe(adapter);
  const useless = unusable(adapter.info as DawnInfo);
  if (useless) throw new LolaError("device", `${report.name} is refused: ${useless}`, softwareHint);
  if (report.software && !software)
    throw new LolaError("device", `${report.name} is refused: ${report.refused}`, `${otherwise}, or --device software`);
  if (software && !report.software)
    throw new LolaError("device", `${report.name} is hardware, not a software adapter`, "--device gpu");

  // Dawn hides the feature where it does not trust a driver with it, NVIDIA's for Vulkan among others.
  const half = precision === "f16";
  if (half && !adapter.features.has("shader-f16"))
    throw new LolaError("device", `no products in f16 here: ${report.name} has no shader-f16`, "--precision f32");

  const subgroups = adapter.features.has("subgroups" as GPUFeatureName);
  if (!report.software) polledMilliseconds = 10;
  collectFirst();
  const device = await adapter.requestDevice({
    requiredLimits: allLimits(adapter.limits),
    requiredFeatures: [...(subgroups ? ["subgroups"] : []), ...(half ? ["shader-f16"] : [])],
  } as GPUDeviceDescriptor);
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  const traits: GpuTraits = {
    software: report.software,
    ...(subgroupMinSize && subgroupMaxSize && subgroups
      ? { subgroups: { min: subgroupMinSize, max: subgroupMaxSize } }
      : {}),
    half,
    maxWorkgroupSize: adapter.limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupBytes: adapter.limits.maxComputeWorkgroupStorageSize,
  };
  return { device, traits, report };
}

/** Every limit at the adapter's best: bun-webgpu refuses partial ones, and one obsolete name. */
function allLimits(limits: GPUSupportedLimits): Record<string, number> {
  const wanted: Record<string, number> = {};
  for (const [name, value] of Object.entries(limits))
    if (typeof value === "number" && name !== "maxInterStageShaderComponents") wanted[name] = value;
  return wanted;
}
