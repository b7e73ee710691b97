/** WGSL files and their twins say the same: bindings, their order, and parameters. Each file compiles by itself. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { kernels } from "../../kernels/index.ts";
import { openDawn } from "../../src/device/gpu/dawn.ts";

const root = new URL("../../kernels/", import.meta.url).pathname;
const files = [...new Bun.Glob("**/*.wgsl").scanSync(root)].sort();
const uses = kernels.flatMap((kernel) => kernel.variants.map((variant) => ({ kernel, variant })));

test("every file is a variant of a kernel, and named for it", () => {
  for (const file of files) {
    const code = readFileSync(root + file, "utf8");
    const use = uses.find(({ variant }) => variant.code === code);
    expect(use ? `${file} of ${use.kernel.name}` : `${file} of none`).toBe(`${file} of ${use?.kernel.name}`);
    expect(file).toStartWith(use!.kernel.name);
    expect(code.trimEnd().split("\n").length, file).toBeLessThanOrEqual(150);
  }
});

for (const { kernel, variant } of uses)
  test(`${kernel.name}: ${variant.name} declares what its twin does`, () => {
    const bindings = [...variant.code.matchAll(/@binding\((\d+)\) var<storage, (\w+)> (\w+): array<(\w+)>; \/\/ \[/g)];
    expect(bindings.map(([, at, access, name]) => [Number(at), name, access])).toEqual(
      Object.entries(kernel.bindings).map(([name, { access }], i) => [
        i,
        name,
        access === "in" ? "read" : "read_write",
      ]),
    );
    for (const [, , , name, type] of bindings) {
      const { type: declared, access } = kernel.bindings[name!]!;
      // A matrix that is written is a gradient, f32.
      const floats = declared === "f32" || (declared === "matrix" && access !== "in");
      expect(type, name).toMatch(floats ? /^(f32|vec4f)$/ : /^(u32|vec4u)$/);
    }
    const struct = /struct Params \{([^}]*)\}/.exec(variant.code)?.[1] ?? "";
    const fields = [...struct.matchAll(/(\w+): (\w+),/g)].map(([, name, type]) => [name, type]);
    expect(fields).toEqual(Object.entries(kernel.params));
    expect(variant.code).toContain(`@binding(${bindings.length}) var<uniform> params: Params;`);
  });

test("every file compiles by itself", async () => {
  const { device } = await openDawn(true);
  for (const file of files) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: readFileSync(root + file, "utf8") });
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
    const error = await device.popErrorScope();
    expect(`${file}: ${error?.message ?? "compiles"}`).toBe(`${file}: compiles`);
  }
  device.destroy();
});
