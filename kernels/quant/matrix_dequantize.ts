/** A quantized matrix as floats, for the products of training: the way back multiplies with its transpose. */
import { zeros } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./matrix_dequantize.wgsl" with { type: "text" };
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";

export const matrixDequantize = defineKernel({
  name: "quant/matrix_dequantize",
  summary: "w = what the words of one of several matrices say",
  bindings: {
    words: { access: "in", type: "u32", shape: "words of matrices [K, N]" },
    w: { access: "out", type: "matrix", shape: "[K, N]" },
  },
  /** inner: K; cols: N; index: of the matrix. */
  params: { inner: "u32", cols: "u32", index: "u32", ...groupingParams },
  variants: [
    {
      name: "lines",
      code,
      grid: (p) => [ceilDiv(p.cols, 64), ceilDiv(p.inner, 32 / p.bits), 1],
    },
  ],
  cost: (p) => ({ bytes: p.inner * p.cols * (4 + quantBytes(p)), flops: 2 * p.inner * p.cols }),
  reference({ words, w }, params) {
    w.set(matrixOf(words, params, params.inner, params.cols, params.index));
  },
  cases: () =>
    [
      { inner: 64, cols: 128, index: 0, bits: 8, group: 64 },
      { inner: 131, cols: 37, index: 2, bits: 4, group: 32 },
      { inner: 63, cols: 101, index: 1, bits: 8, group: 32 },
      { inner: 260, cols: 192, index: 1, bits: 4, group: 128 },
      { inner: 5, cols: 1, index: 0, bits: 4, group: 64 },
    ].map((params) => ({
      label: `${params.inner} × ${params.cols}, the ${params.index + 1}. of several, ${params.bits} bits by ${params.group}`,
      params,
      tensors: {
        words: quantized(1, params, params.inner, params.cols, params.index + 1),
        w: zeros([params.inner, params.cols]),
      },
    })),
});
