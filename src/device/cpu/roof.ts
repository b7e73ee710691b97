/** What this machine can do at most, measured: multiply-adds in registers and reading memory (native/roof.c). */
import type { Kernel } from "../../../kernels/kernel.ts";
import type { Device, Step } from "../device.ts";

export interface Roof {
  /** f32 multiply-adds of all threads together, two flops each, per second. */
  flops: number;
  /** Bytes read from memory by all threads together, per second. */
  bandwidth: number;
}

/** A native measuring step; it has no reference and no place in the index, since no model runs it. */
function probe(name: string, bindings: Kernel["bindings"], params: Kernel["params"]): Kernel {
  const none = () => {
    throw new Error(`${name} only measures`);
  };
  const cost = () => ({ bytes: 0, flops: 0 });
  return { name, summary: name, bindings, params, variants: [], cost, reference: none, cases: () => [] };
}

const multiplyAdd = probe(
  "roof/multiply_add",
  { flops: { access: "out", type: "f32", shape: "[1]" } },
  { tiles: "u32" },
);

const read = probe(
  "roof/read",
  { x: { access: "in", type: "f32", shape: "[N]" }, sum: { access: "out", type: "f32", shape: "[1]" } },
  {},
);

/** Best of several runs: what disturbs a measurement only ever slows it down. */
async function best(device: Device, step: Step, repeats: number): Promise<number> {
  const program = device.program(step.kernel.name, [step]);
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats; i++) seconds = Math.min(seconds, (await device.time(program))[0]!);
  return seconds;
}

/**
 * Measures a CPU device with its own threads and instruction set, in about two seconds.
 * @param bytes of the buffer that is read: well beyond the caches, or the size of what a decode would read
 * @throws LolaError "device" when the buffer does not fit
 */
export async function measureRoof(device: Device, bytes = 2 ** 31): Promise<Roof> {
  const out = device.tensor({ label: "roof", shape: [1], type: "f32" });
  const tiles = 256;
  const once = await best(device, { kernel: multiplyAdd, bindings: { flops: out }, params: { tiles } }, 5);
  const perTile = new Float32Array((await device.download(out)).buffer)[0]!;
  // Whole tiles of 4 MiB, touched first, so that every page has memory of its own.
  const tile = 2 ** 20;
  const count = Math.max(1, Math.floor(bytes / 4 / tile));
  const x = device.tensor({ label: "roof buffer", shape: [count * tile], type: "f32" });
  const page = new Uint8Array(4 * tile).fill(1);
  for (let i = 0; i < count; i++) device.upload(x, page, i * page.length);
  const scan = await best(device, { kernel: read, bindings: { x, sum: out }, params: {} }, 5);
  device.free(x);
  device.free(out);
  return { flops: (perTile * tiles) / once, bandwidth: (4 * tile * count) / scan };
}
