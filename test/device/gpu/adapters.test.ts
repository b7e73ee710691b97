/** Which adapters are taken, and that a machine without any is told so in one line and nothing more. */
import { expect, test } from "bun:test";
import { openGpu, probeGpu } from "../../../src/device/gpu/gpu.ts";

test("a software adapter is found, refused for gpu, taken for software", async () => {
  const report = await probeGpu();
  if (typeof report === "string") throw new Error(`the tests need a software Vulkan (mesa-vulkan-drivers): ${report}`);
  expect(report.software).toBe(true);
  expect(report.refused).toMatch(/CPU/);
  expect(report.details["largest binding"]).toBeNumber();
  await expect(openGpu({ software: false })).rejects.toThrow(/refused: it runs on the CPU/);
  const device = await openGpu({ software: true });
  expect(device.info).toMatchObject({ kind: "gpu", software: true, name: report.name });
  device.close();
});

test("many devices, one after another and side by side", async () => {
  const devices = await Promise.all([1, 2, 3].map(() => openGpu({ software: true })));
  for (const device of devices) {
    const tensor = device.tensor({ label: "t", type: "f32", shape: [4] });
    device.upload(tensor, new Uint8Array(16).fill(7));
    expect(await device.download(tensor)).toEqual(new Uint8Array(16).fill(7));
    device.close();
  }
});

test("without a driver: one reason, no Null adapter, nothing printed", async () => {
  const module = JSON.stringify(new URL("../../../src/device/gpu/gpu.ts", import.meta.url).pathname);
  const script = `
    const { openGpu, probeGpu } = await import(${module});
    const refused = async (software) => openGpu({ software }).then((d) => d.info.name, (e) => e.kind + ": " + e.message);
    process.stdout.write(JSON.stringify([await probeGpu(), await refused(true), await refused(false)]));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, VK_DRIVER_FILES: "/nonexistent.json" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(JSON.parse(out)).toEqual([
    "no GPU driver found",
    "device: no GPU driver found",
    "device: no GPU driver found",
  ]);
  expect(err).toBe("");
});
