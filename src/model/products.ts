/** Products with weights of any type: the kernel follows from how each part of a matrix is stored. */
import { geluForward } from "../../kernels/activation/gelu_forward.ts";
import { embedForward } from "../../kernels/embed/embed_forward.ts";
import { logitsForward } from "../../kernels/embed/logits_forward.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { matmulForward } from "../../kernels/matmul/matmul_forward.ts";
import { downForward } from "../../kernels/moe/down_forward.ts";
import { downRowForward } from "../../kernels/moe/down_row_forward.ts";
import { upForward } from "../../kernels/moe/up_forward.ts";
import { upRowForward } from "../../kernels/moe/up_row_forward.ts";
import { downForward as quantDown } from "../../kernels/quant/down_forward.ts";
import { downRowForward as quantDownRow } from "../../kernels/quant/down_row_forward.ts";
import { embedForward as quantEmbed } from "../../kernels/quant/embed_forward.ts";
import { logitsForward as quantLogits } from "../../kernels/quant/logits_forward.ts";
import { matmulForward as quantMatmul } from "../../kernels/quant/matmul_forward.ts";
import { upForward as quantUp } from "../../kernels/quant/up_forward.ts";
import { upRowForward as quantUpRow } from "../../kernels/quant/up_row_forward.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Step, Tensor } from "../device/device.ts";
import type { Affine, MatrixPart, Weights } from "./weights.ts";

/** A number, or the name of a variable that each run sets. */
export type Scalar = number | string;

/** The kernel for a part of a matrix, as stored, and what it has to know of that. */
function byType({ grouping }: MatrixPart, float: Kernel, quantized: Kernel): { kernel: Kernel; stored: object } {
  return grouping ? { kernel: quantized, stored: grouping } : { kernel: float, stored: {} };
}

/** Token and position rows, added. */
export function embedSteps(
  { width }: ModelConfig,
  { wte, wpe }: Pick<Weights, "wte" | "wpe">,
  { token, pos, x }: Record<"token" | "pos" | "x", Tensor>,
  rows: Scalar,
): Step[] {
  return wte.parts.map((part) => {
    const { kernel, stored } = byType(part, embedForward, quantEmbed);
    const { tensor, first, count } = part;
    return { kernel, bindings: { token, pos, wte: tensor, wpe, x }, params: { rows, width, first, count, ...stored } };
  });
}

/** Products of normalised rows with every row of the embedding: logits y [rows, V]. */
export function logitsSteps(
  { width, vocabulary }: ModelConfig,
  { wte }: Pick<Weights, "wte">,
  x: Tensor,
  y: Tensor,
  rows: Scalar,
): Step[] {
  return wte.parts.map((part) => {
    const { kernel, stored } = byType(part, logitsForward, quantLogits);
    const { tensor, first, count } = part;
    return { kernel, bindings: { x, wte: tensor, y }, params: { rows, width, vocabulary, first, count, ...stored } };
  });
}

/** y = f(x · w + b), or y += x · w + b, of a matrix that is no experts'. */
export function product({ w, b }: Affine, x: Tensor, y: Tensor, rows: Scalar, then: { gelu?: 1; add?: 1 } = {}): Step {
  const [part] = w.parts as [MatrixPart];
  const { kernel, stored } = byType(part, matmulForward, quantMatmul);
  const { inner, cols } = w;
  const params = { rows, inner, cols, gelu: then.gelu ?? 0, add: then.add ?? 0, ...stored };
  return { kernel, bindings: { x, w: part.tensor, b, y }, params };
}

/** y = gelu(x) of so many elements. */
export function gelu(x: Tensor, y: Tensor, count: number): Step {
  return { kernel: geluForward, bindings: { x, y }, params: { count } };
}

/** Experts' first matrix for few rows: h = gelu(x · w[expert] + b[expert]). */
export function upRowSteps({ w, b }: Affine, rest: Record<"x" | "expert" | "h", Tensor>, rows: Scalar, at: number) {
  return experts(w, b, rest, { rows, at }, upRowForward, quantUpRow);
}

/** Their second for few rows: y += prob · (h · w[expert] + b[expert]). */
export function downRowSteps(
  { w, b }: Affine,
  rest: Record<"h" | "expert" | "prob" | "y", Tensor>,
  rows: Scalar,
  at: number,
): Step[] {
  return experts(w, b, rest, { rows, at }, downRowForward, quantDownRow);
}

/** Experts' first matrix over rows grouped by expert, followed by GELU or not. */
export function upSteps(
  { w, b }: Affine,
  rest: Record<"x" | "order" | "start" | "h", Tensor>,
  rows: Scalar,
  gelu: 0 | 1,
): Step[] {
  return experts(w, b, rest, { rows, gelu }, upForward, quantUp);
}

/** Their second over grouped rows, scaled by the probability and added to y. */
export function downSteps(
  { w, b }: Affine,
  rest: Record<"h" | "order" | "start" | "prob" | "y", Tensor>,
  rows: Scalar,
  at: number,
): Step[] {
  return experts(w, b, rest, { rows, at }, downForward, quantDown);
}

function experts(
  w: Affine["w"],
  b: Tensor,
  rest: Record<string, Tensor>,
  params: Record<string, Scalar>,
  float: Kernel,
  quantized: Kernel,
): Step[] {
  const { inner, cols } = w;
  return w.parts.map((part) => {
    const { kernel, stored } = byType(part, float, quantized);
    const { tensor, first, count } = part;
    return { kernel, bindings: { ...rest, w: tensor, b }, params: { ...params, inner, cols, first, count, ...stored } };
  });
}
