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

/** All of them, for the library to tell what it was built for. */
export const probes = [multiplyAdd, read] as const;

/** Seconds of each step, of several runs one after the other. */
async function timings(device: Device, steps: Step[], runs: number): Promise<Float64Array[]> {
  const program = device.program("roof", steps);
  const all: Float64Array[] = [];
  for (let i = 0; i < runs; i++) all.push(await device.time(program));
  return all;
}

const least = (values: Iterable<number>) => Array.from(values).reduce((a, b) => Math.min(a, b));
const total = (values: Iterable<number>) => Array.from(values).reduce((a, b) => a + b);

/**
 * Measures a CPU device with its own threads and instruction set, in about two seconds.
 * @param bytes of the buffer that is read: well beyond the caches, or the size of what a decode would read
 * @throws LolaError "device" when the buffer does not fit
 */
export async function measureRoof(device: Device, bytes = 2 ** 31): Promise<Roof> {
  const out = device.tensor({ label: "roof", shape: [1], type: "f32" });
  const tiles = 16;
  const multiply = { kernel: multiplyAdd, bindings: { flops: out }, params: { tiles } };
  const once = least((await timings(device, Array<Step>(20).fill(multiply), 5)).map(least));
  const perTile = new Float32Array((await device.download(out)).buffer)[0]!;
  // Touched first, so that every page has memory of its own; then read whole, as STREAM does, and the best pass counts.
  const piece = 2 ** 24;
  const count = Math.max(1, Math.floor(bytes / 4 / piece));
  const x = device.tensor({ label: "roof buffer", shape: [count * piece], type: "f32" });
  const filling = new Uint8Array(4 * piece).fill(1);
  for (let i = 0; i < count; i++) device.upload(x, filling, i * filling.length);
  const pieces = Array.from({ length: count }, (_, i) => device.view(x, i * piece, [piece]));
  const steps = pieces.map((part) => ({ kernel: read, bindings: { x: part, sum: out }, params: {} }));
  const seconds = least((await timings(device, steps, 8)).map(total));
  device.free(x);
  device.free(out);
  return { flops: (perTile * tiles) / once, bandwidth: (4 * piece * count) / seconds };
}
