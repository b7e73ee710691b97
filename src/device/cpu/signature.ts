/** What a kernel's specification and its C twin have to agree on. */
import type { Kernel } from "../../../kernels/kernel.ts";

/** Name, bindings and parameters in order, in one line: "norm/squares_forward(in f32 x, out f32 sum; u32 count)". */
export function signatureOf({ name, bindings, params }: Kernel): string {
  const inputs = Object.entries(bindings).map(([binding, { access, type }]) => `${access} ${type} ${binding}`);
  const scalars = Object.entries(params).map(([param, type]) => `${type} ${param}`);
  return `${name}(${inputs.join(", ")}; ${scalars.join(", ")})`;
}
