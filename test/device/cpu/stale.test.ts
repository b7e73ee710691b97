/** A kernel library that was built for another version of the program is refused, not run. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { squaresForward } from "../../../kernels/reduce/squares_forward.ts";
import { nativeLibrary } from "../../../src/base/embedded.ts";
import { openCpu } from "../../../src/device/cpu/cpu.ts";
import { functions, loadLibrary } from "../../../src/device/cpu/library.ts";
import { signatureOf } from "../../../src/device/cpu/signature.ts";

const root = mkdtempSync(join(tmpdir(), "lola-stale-"));
afterAll(() => rmSync(root, { recursive: true }));

/** The library with other bytes in the place of some. */
function changed(from: string, to: string): string {
  const bytes = readFileSync(nativeLibrary()!);
  const at = bytes.indexOf(from);
  expect([at > 0, to.length]).toEqual([true, from.length]);
  bytes.write(to, at);
  const path = join(root, `${crypto.randomUUID()}.so`);
  writeFileSync(path, bytes);
  return path;
}

const refusal = (what: string) =>
  expect.objectContaining({
    kind: "failed",
    message: `the CPU kernels were built for another version of this program: ${what} is not as it was`,
    hint: "npm start, which builds them",
  });

test("other functions: another fingerprint, or a function that is not there", () => {
  expect(() =>
    loadLibrary(
      changed(
        functions,
        functions.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
      ),
    ),
  ).toThrow(refusal("what they are called by"));
  expect(() => loadLibrary(changed("lola_cancel\0", "lola_rename\0"))).toThrow(refusal("what they are called by"));
  expect(loadLibrary(changed(functions, functions)).lola_signatures()).toBeTruthy();
});

test("a kernel with other parameters, bindings or name", () => {
  const device = openCpu({ threads: 1 });
  const { name, bindings, params } = squaresForward;
  const tensors = Object.entries(bindings).map(([binding, { type }]) => {
    return [binding, device.tensor({ label: binding, shape: [64], type: type === "u32" ? "u32" : "f32" })] as const;
  });
  const values = Object.fromEntries(Object.keys(params).map((param) => [param, 1]));
  const program = (kernel: typeof squaresForward) =>
    device.program("test", [{ kernel, bindings: Object.fromEntries(tensors), params: { ...values, more: 1 } }]);
  expect(program(squaresForward).steps).toHaveLength(1);
  expect(signatureOf(squaresForward)).toStartWith(`${name}(in f32 x, `);
  for (const other of [
    { ...squaresForward, params: { ...params, more: "u32" as const } },
    { ...squaresForward, bindings: Object.fromEntries(Object.entries(bindings).toReversed()) },
  ])
    expect(() => program(other)).toThrow(refusal(name));
  expect(() => program({ ...squaresForward, name: "reduce/other" })).toThrow(refusal("reduce/other"));
  device.close();
});
