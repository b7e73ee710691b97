/**
 * Quantizes a matrix: what `quantize` of src/base/quant.ts does, word for word on lavapipe and the CPU. WGSL promises neither
 * correctly rounded division nor that products are rounded before they are added, so another GPU may take the other of two
 * codes or grids that are nearly as good: `sums` say what its words lose.
 */
import { type Grouping, quantize, quantPanel } from "../../src/base/quant.ts";
import { uniform } from "../cases.ts";
import { ceilDiv, defineKernel } from "../kernel.ts";
import code from "./matrix_quantize.wgsl" with { type: "text" };
import { groupingParams, matrixOf, quantBytes, quantized } from "./quantized.ts";

export const matrixQuantize = defineKernel({
  name: "quant/matrix_quantize",
  summary: "words of x, or of xᵀ; sums[block] = Σ (x − what the words say)² and Σ x²",
  bindings: {
    x: { access: "in", type: "f32", shape: "[K, N], or [N, K]" },
    importance: { access: "in", type: "f32", shape: "[K], ≥ 0" },
    w: { access: "out", type: "u32", shape: "words of [K, N]" },
    sums: { access: "out", type: "f32", shape: "[blocks, 2]" },
  },
  /** inner: K; cols: N; turned: 1 where x is a table [N, K]. */
  params: { inner: "u32", cols: "u32", turned: "u32", ...groupingParams },
  variants: [
    {
      name: "blocks",
      code,
      grid: (p) => [ceilDiv(p.inner, p.group), ceilDiv(p.cols, quantPanel), 1],
    },
  ],
  cost: (p) => ({
    bytes: p.inner * p.cols * (4 + quantBytes(p)),
    flops: p.inner * p.cols * (p.bits === 4 ? 21 : 1) * 25,
  }),
  reference({ x, importance, w, sums }, params) {
    const { inner, cols, turned, bits, group } = params;
    const rows = turned ? new Float32Array(x.length) : new Float32Array(x);
    if (turned) for (let i = 0; i < x.length; i++) rows[(i % inner) * cols + Math.floor(i / inner)] = x[i]!;
    w.set(quantize(rows, { bits, group } as Grouping, inner, cols, new Float32Array(importance)));
    const says = matrixOf(w, params, inner, cols);
    sums.fill(0);
    for (let i = 0; i < rows.length; i++) {
      const [k, n] = [Math.floor(i / cols), i % cols];
      const block = Math.floor(n / quantPanel) * ceilDiv(inner, group) + Math.floor(k / group);
      sums[2 * block]! += (rows[i]! - says[i]!) ** 2;
      sums[2 * block + 1]! += rows[i]! ** 2;
    }
  },
  cases: () =>
    [
      { inner: 64, cols: 32, turned: 0, bits: 8, group: 64 },
      { inner: 131, cols: 37, turned: 0, bits: 4, group: 32 },
      { inner: 63, cols: 101, turned: 1, bits: 4, group: 64 },
      { inner: 256, cols: 19, turned: 1, bits: 8, group: 128 },
      { inner: 128, cols: 16, turned: 0, bits: 4, group: 128, constant: true },
    ].map(({ constant, ...params }) => {
      const { inner, cols } = params;
      const x = uniform(1, [inner, cols]);
      // A column that does not vary, one with a single value that does, and one of zeros.
      for (let k = 0; constant && k < inner; k++) {
        x.data[k * cols] = 0.3;
        x.data[k * cols + 1] = k === 7 ? -2 : 0.25;
        x.data[k * cols + 2] = 0;
      }
      const importance = uniform(2, [inner]);
      for (let k = 0; k < inner; k++) importance.data[k] = importance.data[k]! + 1.01;
      const w = quantized(3, params, inner, cols);
      w.data.fill(0xffffffff);
      return {
        label: `${inner} × ${cols}${params.turned ? ", turned" : ""}, ${params.bits} bits by ${params.group}${constant ? ", some columns constant" : ""}`,
        params,
        tensors: {
          x: params.turned ? { ...x, shape: [cols, inner] } : x,
          importance,
          w,
          sums: uniform(4, [ceilDiv(inner, params.group) * ceilDiv(cols, quantPanel), 2]),
        },
      };
    }),
});
