/** Compiled kernels: one pipeline for each shader and set of constants, kept for the life of the device. */
import type { Binding, GpuTraits, Kernel, Variant } from "../../../kernels/kernel.ts";
import type { FloatType } from "../../base/float.ts";
import type { StorageType } from "../device.ts";
import { shaderStage } from "./dawn.ts";
import type { Health } from "./health.ts";

export interface Compiled {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  variant: Variant;
}

/** Values of a kernel's `<BINDING>_TYPE` constants. */
const typeCodes: Record<FloatType, number> = { f32: 0, f16: 1, bf16: 2 };

/** Bytes of `Params`: 4 a field, in whole vec4. */
export function paramBytes(kernel: Kernel): number {
  return Math.ceil(Object.keys(kernel.params).length / 4) * 16;
}

export class Pipelines {
  /** Seconds spent in compiling. */
  seconds = 0;
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly compiled = new Map<string, Compiled>();

  constructor(
    private readonly device: GPUDevice,
    private readonly traits: GpuTraits,
    private readonly health: Health,
  ) {}

  get count(): number {
    return this.compiled.size;
  }

  /**
   * The first variant that fits, compiled.
   * @param params largest values of the parameters
   * @param types of the tensors to be bound
   */
  get(kernel: Kernel, params: Record<string, number>, types: Record<string, StorageType>): Compiled {
    const variant = kernel.variants.find((v) => v.fits?.(this.traits, params) ?? true);
    if (!variant) throw new Error(`${kernel.name}: no variant fits ${JSON.stringify(params)}`);
    const constants = { ...variant.constants?.(this.traits, params), ...typeConstants(variant.code, kernel, types) };
    const key = `${kernel.name}/${variant.name} ${JSON.stringify(constants)}`;
    const known = this.compiled.get(key);
    if (known) return known;
    const start = performance.now();
    const layout = this.layout(kernel);
    const pipeline = this.health.pipeline(key, () =>
      this.device.createComputePipeline({
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: this.module(variant.code), entryPoint: "main", constants },
      }),
    );
    this.seconds += (performance.now() - start) / 1000;
    const result = { pipeline, layout, variant };
    this.compiled.set(key, result);
    return result;
  }

  private module(code: string): GPUShaderModule {
    const known = this.modules.get(code);
    if (known) return known;
    const module = this.device.createShaderModule({ code });
    this.modules.set(code, module);
    return module;
  }

  /** Kernels with the same kinds of bindings share a layout. */
  private layout(kernel: Kernel): GPUBindGroupLayout {
    const kinds = Object.values(kernel.bindings).map(bufferType);
    const key = kinds.join();
    const known = this.layouts.get(key);
    if (known) return known;
    const layout = this.device.createBindGroupLayout({
      entries: [...kinds, "uniform" as const].map((type, binding) => ({
        binding,
        visibility: shaderStage.COMPUTE,
        buffer: { type },
      })),
    });
    this.layouts.set(key, layout);
    return layout;
  }
}

const bufferType = ({ access }: Binding): GPUBufferBindingType => (access === "in" ? "read-only-storage" : "storage");

/** `<BINDING>_TYPE` of the bindings of any float type, where the shader asks for it. */
function typeConstants(code: string, kernel: Kernel, types: Record<string, StorageType>): Record<string, number> {
  const constants: Record<string, number> = {};
  for (const [name, { type }] of Object.entries(kernel.bindings)) {
    const constant = `${name.toUpperCase()}_TYPE`;
    if (type !== "f32" && type !== "u32" && code.includes(`override ${constant}`))
      constants[constant] = typeCodes[types[name] as FloatType];
  }
  return constants;
}
