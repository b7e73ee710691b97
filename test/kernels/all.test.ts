/** Every kernel, on every engine, in every variant that the machine can run, for every type of weights. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { kernels } from "../../kernels/index.ts";
import type { Case, GpuTraits, Kernel, Variant } from "../../kernels/kernel.ts";
import type { Device } from "../../src/device/device.ts";
import { type GpuDevice, openGpu } from "../../src/device/gpu/gpu.ts";
import { openReference } from "../../src/device/reference.ts";
import { check, weightTypes } from "./compare.ts";

/** The kernel with one variant, for a GPU with the given traits. */
function only(kernel: Kernel, variant: Variant, traits: GpuTraits): Kernel {
  const { name, code, constants } = variant;
  const fixed: Variant = { name, code, grid: (params) => variant.grid(params, traits) };
  if (constants) fixed.constants = (_, params) => constants(traits, params);
  return { ...kernel, variants: [fixed] };
}

async function failures(device: Device, kernel: Kernel, cases: Case[], bound?: number): Promise<string[]> {
  const wrong: string[] = [];
  for (const type of weightTypes(kernel))
    for (const example of cases) wrong.push(...(await check(device, kernel, example, type, bound)));
  return wrong;
}

/**
 * Largest NMSE of products in f16. Rounding two operands to 11 bits makes 1e-7 of it, summing 16 products in f16 four times
 * that; a case of only 32 results strays to 8e-7.
 */
const halfBound = 2e-6;

describe("reference", () => {
  for (const kernel of kernels)
    test(kernel.name, async () => {
      expect(await failures(openReference(), kernel, kernel.cases())).toEqual([]);
    });
});

describe("gpu", () => {
  let whole: GpuDevice;
  let half: GpuDevice;
  beforeAll(async () => {
    whole = await openGpu({ software: true });
    half = await openGpu({ software: true, precision: "f16" });
  });
  afterAll(() => {
    whole.close();
    half.close();
  });

  for (const kernel of kernels)
    for (const variant of kernel.variants)
      test(`${kernel.name}: ${variant.name}`, async () => {
        const inHalf = variant.code.includes("enable f16;");
        const gpu = inHalf ? half : whole;
        const bound = inHalf ? halfBound : undefined;
        // A variant, or its constants, meant for other adapters than this one must still be right on it.
        const kinds = [gpu.traits, { ...gpu.traits, software: !gpu.traits.software }];
        let ran = 0;
        for (const example of kernel.cases()) {
          const done = new Set<string>();
          for (const traits of kinds) {
            if (!(variant.fits?.(traits, example.params) ?? true)) continue;
            const plan = [variant.constants?.(traits, example.params), variant.grid(example.params, traits)];
            if (done.has(JSON.stringify(plan))) continue;
            done.add(JSON.stringify(plan));
            expect(await failures(gpu, only(kernel, variant, traits), [example], bound)).toEqual([]);
            ran++;
          }
        }
        expect(ran).toBeGreaterThan(0);
      }, 120_000);
});
