/** How near to the reference each instruction set must come. */
import type { Kernel } from "../../../kernels/kernel.ts";
import type { FloatType } from "../../../src/base/float.ts";
import type { InstructionSet } from "../../../src/device/cpu/library.ts";

/** Kernels that multiply matrices, or blocks of them. */
const products = new Set([
  ...["matmul/matmul_forward", "matmul/input_backward", "matmul/weight_backward", "matmul/table_backward"],
  ...["moe/up_forward", "moe/down_forward", "moe/input_backward", "moe/weight_backward"],
  ...["embed/logits_forward", "embed/logits_backward", "optim/polynomial_update"],
]);
const attention = new Set([
  ...["attention/attention_forward", "attention/attention_compact_forward"],
  ...["attention/query_backward", "attention/key_backward"],
]);

/**
 * Largest NMSE of a kernel. Rounding an operand to bf16, 8 significant bits, is off by 2.2e-6 of its mean square (values
 * of even mantissas), both operands by 4.4e-6; a product of few elements may be twice as unlucky. In attention two products
 * follow each other, and the exponential between them makes an error of large scores larger. Activations that meet quantized
 * matrices are rounded to 16 bits, which is off by 4e-10: no more than other kernels' sums.
 */
export function boundOf(isa: InstructionSet, { name }: Kernel, type: FloatType): number {
  if (isa === "amx" && products.has(name)) return 1e-5;
  if (isa === "amx" && attention.has(name)) return 4e-5;
  return type === "f32" ? 1e-7 : 1e-6;
}
