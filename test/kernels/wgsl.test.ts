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

/** Writes to one component of a vector in workgroup or storage memory, as they stand in the code. */
function componentWrites(code: string): string[] {
  const bare = code.replace(/\/\/.*/g, "");
  const found: string[] = [];
  for (const [, name, type] of bare.matchAll(/var<(?:workgroup|storage)[^>]*>\s+(\w+)\s*:\s*([^;]+);/g)) {
    if (!/\b(vec\d|part\b)/.test(type!)) continue;
    const depth = type!.split("array<").length - 1; // accessors that reach a whole vector
    for (const { index } of bare.matchAll(new RegExp(`(?<![\\w.])${name}(?=\\s*[[.])`, "g"))) {
      const accessor = /\s*(?:\[|\.\w+)/y;
      let accessors = 0;
      let end = index + name!.length;
      for (accessor.lastIndex = end; accessor.test(bare); accessor.lastIndex = end) {
        accessors++;
        end = accessor.lastIndex;
        for (let open = bare[end - 1] === "[" ? 1 : 0; open > 0 && end < bare.length; end++)
          open += bare[end] === "[" ? 1 : bare[end] === "]" ? -1 : 0;
      }
      if (accessors > depth && /^\s*(([-+*/%&|^]|<<|>>)?=(?!=)|\+\+|--)/.test(bare.slice(end)))
        found.push(bare.slice(index, end));
    }
  }
  return found;
}

// Such a write may touch the whole vector: threads that each write a component of one vector race, on Metal and D3D at
// least (gpuweb issue 2112). One thread has to write the vector.
test("no file writes one component of a shared vector", () => {
  const declared = `
    @group(0) @binding(0) var<storage, read_write> y: array<vec4f>; // y[0].x = 1
    var<workgroup> xs: array<vec4f, 4 * N>;
    var<workgroup> pairs: array<array<vec2u, 2>, 8>;
    var<workgroup> words: array<array<u32, 2>, 8>;
    var<workgroup> one: vec3f;
    var<workgroup> ps: array<part, 8>;`;
  const races = ["ps[i].x", "xs[i / 4][i % 4]", "xs[at[i]].x", "y[i].w", "pairs[i][0].y", "one.x", "one[2]"];
  const safe = [
    "ps[i]",
    "xs[i]",
    "xs[at[i] + 1]",
    "y[i]",
    "pairs[i][0]",
    "words[i][0]",
    "one",
    "sums[i].x",
    "low.xs[i].x",
  ];
  for (const write of ["= 1", "+= 1", "<<= 1", "++"]) {
    for (const place of races) expect(componentWrites(`${declared}\n${place} ${write};`)).toEqual([place]);
    for (const place of safe) expect(componentWrites(`${declared}\n${place} ${write};`)).toEqual([]);
  }
  for (const read of ["== 1", "<= 1", "* 2", "- -1"])
    for (const place of races) expect(componentWrites(`${declared}\nif (${place} ${read}) {}`)).toEqual([]);
  expect(
    files.flatMap((file) => componentWrites(readFileSync(root + file, "utf8")).map((at) => `${file}: ${at}`)),
  ).toEqual([]);
});

test("every file compiles by itself", async () => {
  const { device } = await openDawn(true, "f32");
  for (const file of files) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: readFileSync(root + file, "utf8") });
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
    const error = await device.popErrorScope();
    expect(`${file}: ${error?.message ?? "compiles"}`).toBe(`${file}: compiles`);
  }
  device.destroy();
});
