/** Runs of the CPU engine: the same bytes for any number of threads, cancelling, other processes, errors, ends of processes. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { matmulForward } from "../../../kernels/matmul/matmul_forward.ts";
import type { ModelConfig } from "../../../src/checkpoint/config.ts";
import { type CpuDevice, openCpu } from "../../../src/device/cpu/cpu.ts";
import { library, usableSets } from "../../../src/device/cpu/library.ts";
import { measureRoof } from "../../../src/device/cpu/roof.ts";
import type { Device, Program, Tensor } from "../../../src/device/device.ts";
import { randomWeights } from "../../../src/model/random.ts";
import { greedy, Session } from "../../../src/model/session.ts";
import { loadWeights } from "../../../src/model/weights.ts";

const device = openCpu({ threads: 2 });
afterAll(() => device.close());

const config: ModelConfig = {
  ...{ family: "lola_v1", vocabulary: 1000, context: 640, width: 96, layers: 3, heads: 3, inner: 200, experts: 5 },
  ...{ normEpsilon: 1e-5, bos: 0, eos: 5, pad: 1 },
};

function session(on: Device): Session {
  return new Session(
    on,
    config,
    loadWeights(
      on,
      config,
      randomWeights(config, () => "f32"),
    ),
  );
}

/** A product of random matrices, repeated. */
function products(on: Device, n: number, times: number): { program: Program; y: Tensor } {
  const tensor = (label: string, layout: "rows" | "matrix", ...shape: number[]) =>
    on.tensor({ label, shape, type: "f32", layout });
  const [x, w, b, y] = [
    tensor("x", "rows", n, n),
    tensor("w", "matrix", n, n),
    tensor("b", "rows", n),
    tensor("y", "rows", n, n),
  ];
  for (const t of [x, w])
    on.upload(t, new Uint8Array(Float32Array.from({ length: n * n }, (_, i) => (i * 7919) % 13).buffer));
  const params = { rows: n, inner: n, cols: n, gelu: 0, add: 0 };
  const step = { kernel: matmulForward, bindings: { x, w, b, y }, params };
  return { program: on.program("products", Array(times).fill(step)), y };
}

test("the same bytes with 1 to 4 threads, in every instruction set", async () => {
  const ids = Array.from({ length: 531 }, (_, i) => (i * 37) % 1000);
  for (const isa of usableSets(library()).keys()) {
    const results: string[] = [];
    for (const threads of [1, 2, 3, 4]) {
      const one = openCpu({ threads, isa });
      const s = session(one);
      const hash = new Bun.CryptoHasher("sha256");
      hash.update((await s.feed(ids, greedy, { logits: true })).logits!);
      for (let i = 0; i < 20; i++) hash.update((await s.next({ logits: true })).logits!);
      results.push(hash.digest("hex"));
      one.close();
    }
    expect(new Set(results).size).toBe(1);
  }
});

test("the event loop turns during a long run, and an abort ends it", async () => {
  const { program } = products(device, 512, 20_000);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const began = performance.now();
  const run = device.run(program, {}, { signal: AbortSignal.timeout(200) });
  await expect(run).rejects.toThrow(expect.objectContaining({ name: "TimeoutError" }));
  await run.catch(() => undefined);
  clearInterval(timer);
  expect(performance.now() - began).toBeLessThan(1500);
  expect(ticks).toBeGreaterThan(3);
  const after = products(device, 16, 1);
  const [y] = await device.run(after.program, {}, { read: [after.y] });
  expect(new Float32Array(y!.buffer)[0]).toBeGreaterThan(0);
  const aborted = AbortSignal.abort();
  await expect(device.run(after.program, {}, { signal: aborted })).rejects.toThrow("aborted");
});

test("many short runs let timers fire too", async () => {
  const { program } = products(device, 8, 1);
  let fired = false;
  setTimeout(() => (fired = true), 20);
  for (const end = performance.now() + 500; !fired && performance.now() < end; ) await device.run(program);
  expect(fired).toBe(true);
});

test("runs do not overlap, and memory does not change under them", async () => {
  const { program, y } = products(device, 512, 200);
  const run = device.run(program);
  await expect(device.run(program)).rejects.toThrow("still running");
  expect(() => device.free(y)).toThrow("still running");
  await run;
});

test("thousands of programs", async () => {
  const { program, y } = products(device, 8, 3);
  const [first] = await device.run(program, {}, { read: [y] });
  const rise = () => process.memoryUsage.rss();
  const before = rise();
  for (let i = 0; i < 5000; i++) {
    const again = device.program(`p${i}`, program.steps);
    if (i % 50 === 0) expect((await device.run(again, {}, { read: [y] }))[0]).toEqual(first!);
  }
  Bun.gc(true);
  expect(rise() - before).toBeLessThan(64 * 2 ** 20);
});

test("parameters that a tensor is too small for are refused, with its name", async () => {
  const { program } = products(device, 8, 1);
  const step = program.steps[0]!;
  const wide = device.program("wide", [{ ...step, params: { ...step.params, rows: "rows" } }]);
  await expect(device.run(wide, { rows: 9 })).rejects.toThrow("wide, step 0, matmul/matmul_forward: x is too small");
  await device.run(wide, { rows: 8 });
  await expect(device.run(wide)).rejects.toThrow("no value for the variable rows");
  const bindings = { ...step.bindings, w: step.bindings.x! };
  expect(() => device.program("rows as matrix", [{ ...step, bindings }])).toThrow("w takes matrix, not f32 rows");
});

test("tokens, positions and sequences outside the tables touch nothing", async () => {
  const one = openCpu({ threads: 2 });
  const s = session(one);
  await s.feed([1, 2, 3], greedy);
  const { prompt } = s.programs;
  for (const name of ["token", "pos", "seq"]) {
    const tensor = prompt.steps.find((step) => step.bindings[name])!.bindings[name]!;
    one.upload(tensor, new Uint8Array(Uint32Array.of(0xffffffff, 1e9, 5000).buffer));
    await one.run(prompt, s.benchValues(3));
  }
  one.close();
});

test("idle threads use no time", async () => {
  await device.run(products(device, 64, 3).program);
  await Bun.sleep(20);
  const before = process.cpuUsage();
  await Bun.sleep(300);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(0.06);
});

test("other busy processes slow a decode, but do not stop it", async () => {
  const one: CpuDevice = openCpu({ threads: 4 });
  const s = session(one);
  await s.feed([1, 2, 3], greedy);
  const busy = Array.from({ length: 3 }, () => Bun.spawn([process.execPath, "-e", "for (;;);"]));
  const began = performance.now();
  for (let i = 0; i < 200; i++) await s.next();
  const seconds = (performance.now() - began) / 1000;
  for (const child of busy) child.kill(9);
  expect(seconds).toBeLessThan(8);
  one.close();
}, 30_000);

test("the end of a run never swallows the start of the next", async () => {
  // They end by themselves, should this test hang.
  const loop = "for (const end = Date.now() + 20_000; Date.now() < end; );";
  const busy = [0, 1].map(() => Bun.spawn([process.execPath, "-e", loop], { stdio: ["ignore", "ignore", "ignore"] }));
  const { program } = products(device, 4, 2);
  // A worker put aside between the last tile and its books once overwrote the next run's tickets: one run in a million hung.
  for (let i = 0; i < 600_000; i++) await device.run(program);
  for (const child of busy) child.kill(9);
}, 90_000);

test("a process may end, or be interrupted, during a run", async () => {
  const cpu = JSON.stringify(join(import.meta.dir, "../../../src/device/cpu/cpu.ts"));
  const kernel = JSON.stringify(join(import.meta.dir, "../../../kernels/matmul/matmul_forward.ts"));
  const run = `
    import { openCpu } from ${cpu};
    import { matmulForward } from ${kernel};
    const d = openCpu({ threads: 3 });
    const t = (label, layout) => d.tensor({ label, shape: [512, 512], type: "f32", layout });
    const bindings = { x: t("x"), w: t("w", "matrix"), b: t("b"), y: t("y") };
    const params = { rows: 512, inner: 512, cols: 512, gelu: 0, add: 0 };
    const program = d.program("long", Array(50000).fill({ kernel: matmulForward, bindings, params }));
    const run = d.run(program).catch((error) => { if (!/closed/.test(error.message)) throw error; });
  `;
  const ends: [string, number][] = [
    ["setTimeout(() => process.exit(7), 60);", 7],
    ["process.on('SIGINT', () => process.exit(130)); setTimeout(() => process.kill(process.pid, 'SIGINT'), 60);", 130],
    ["setTimeout(() => d.close(), 60); await run; process.exit(3);", 3],
  ];
  for (const [end, code] of ends) {
    const child = Bun.spawn([process.execPath, "-e", run + end], { stderr: "pipe" });
    expect(await child.exited).toBe(code);
    expect(await new Response(child.stderr).text()).toBe("");
  }
}, 30_000);

test("each step's time is told", async () => {
  const { program } = products(device, 64, 3);
  const seconds = await device.time(program, {}, 3);
  expect(seconds.length).toBe(3);
  expect(seconds.every((s) => s > 0 && s < 1)).toBe(true);
});

test("the machine's roofs are positive and sane", async () => {
  const { flops, bandwidth } = await measureRoof(device, 2 ** 26);
  expect(flops).toBeGreaterThan(1e9);
  expect(bandwidth).toBeGreaterThan(1e8);
});
