/** The kernels' cases once more: with other numbers of threads, and with indices that point nowhere. */
import { expect, test } from "bun:test";
import { kernels } from "../../../kernels/index.ts";
import type { Case, CaseTensor, Kernel } from "../../../kernels/kernel.ts";
import { adamwUpdate } from "../../../kernels/optim/adamw_update.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";
import type { Device, Tensor } from "../../../src/device/device.ts";

/** Elements before and after every tensor in rows. */
const margin = 256;

const guard = Buffer.alloc(4 * margin, 0xa5);

/** Runs a case on tensors between guards; all tensors' bytes afterwards, guards included where there are any. */
async function results(device: Device, kernel: Kernel, example: Case): Promise<Map<string, Buffer>> {
  const whole: Record<string, Tensor> = {};
  const bindings: Record<string, Tensor> = {};
  for (const [name, { shape, data }] of Object.entries(example.tensors)) {
    const { type } = kernel.bindings[name]!;
    const contents = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (type === "matrix") {
      whole[name] = device.tensor({ label: name, type: "f32", layout: "matrix", shape });
      device.upload(whole[name], contents);
      bindings[name] = whole[name];
    } else {
      const stored = type === "u32" ? "u32" : "f32";
      whole[name] = device.tensor({ label: name, type: stored, shape: [data.length + 2 * margin] });
      device.upload(whole[name], Buffer.concat([guard, contents, guard]));
      bindings[name] = device.view(whole[name], margin, shape);
    }
  }
  const names = Object.keys(whole);
  const program = device.program(example.label, [{ kernel, bindings, params: example.params }]);
  const read = await device.run(program, {}, { read: names.map((name) => whole[name]!) });
  for (const tensor of Object.values(whole)) device.free(tensor);
  return new Map(names.map((name, i) => [name, Buffer.from(read[i]!)]));
}

test.each([...usableSets(library()).keys()])(
  "the same bytes with 1, 2 and 5 threads: %s",
  async (isa) => {
    const devices = [1, 2, 5].map((threads) => openCpu({ threads, isa }));
    for (const kernel of kernels)
      for (const example of kernel.cases()) {
        const [one, ...more] = await Promise.all(devices.map((device) => results(device, kernel, example)));
        for (const other of more)
          for (const [name, bytes] of one!)
            if (!bytes.equals(other.get(name)!)) expect(`${kernel.name}, ${example.label}: ${name} differs`).toBe("");
      }
    for (const device of devices) device.close();
  },
  60_000,
);

/** Kernels of training whose indices come from data, or from other kernels' results. */
const indexed = [
  ...["embed/embed_backward", "loss/cross_entropy_backward", "moe/balance_forward", "moe/drop_forward"],
  ...["moe/gather_forward", "moe/activation_backward", "moe/route_backward"],
];

test("indices that point nowhere touch nothing outside the tensors", async () => {
  const device = openCpu({ threads: 2 });
  const wild = (tensor: CaseTensor, value: (i: number) => number): CaseTensor => ({
    shape: tensor.shape,
    data: Uint32Array.from(tensor.data, (_, i) => value(i)),
  });
  const values = [() => 0xffffffff, (i: number) => 1e9 + i, (i: number) => (i * 2654435761) % 300];
  const chosen = kernels.filter(({ name }) => indexed.includes(name));
  expect(chosen.length).toBe(indexed.length);
  for (const kernel of chosen)
    for (const example of kernel.cases())
      for (const value of values) {
        const indices = Object.entries(example.tensors).filter(([name]) => kernel.bindings[name]!.type === "u32");
        const tensors = Object.fromEntries(indices.map(([name, tensor]) => [name, wild(tensor, value)]));
        const after = await results(device, kernel, { ...example, tensors: { ...example.tensors, ...tensors } });
        for (const [name, bytes] of after) {
          if (kernel.bindings[name]!.type === "matrix") continue;
          const [before, beyond] = [bytes.subarray(0, 4 * margin), bytes.subarray(bytes.length - 4 * margin)];
          if (!before.equals(guard) || !beyond.equals(guard))
            expect(`${kernel.name}, ${example.label}: written outside ${name}`).toBe("");
        }
      }
  device.close();
}, 60_000);

test("moments that no gradient reaches become 0, not subnormal", async () => {
  const device = openCpu({ threads: 1 });
  const example = adamwUpdate.cases().find(({ params }) => params.count === 65)!;
  example.tensors.g!.data.fill(0);
  for (const name of ["m", "v"]) example.tensors[name]!.data.fill(1e-37).fill(1e-20, 0, 33);
  const after = await results(device, adamwUpdate, example);
  for (const name of ["m", "v"]) {
    const moments = new Float32Array(new Uint8Array(after.get(name)!).buffer, 4 * margin, 65);
    expect(moments.indexOf(0)).toBe(33);
    expect(moments.subarray(33).every((moment) => moment === 0)).toBe(true);
  }
  device.close();
});
