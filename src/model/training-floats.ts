/**
 * Quantized weights in training: as floats, exactly, in scratch that holds one matrix at a time. So both ways multiply with
 * what the words say, in any precision of products; a matrix of many rows is multiplied for much longer than this takes.
 */
import { matrixDequantize } from "../../kernels/quant/matrix_dequantize.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { Device, Step, Tensor } from "../device/device.ts";
import { embedSteps } from "./products.ts";
import type { Affine, Matrix, MatrixPart, Weights } from "./weights.ts";

/** Tokens of a quantized table whose rows are made floats together: [first, first + count) of a part. */
interface Piece {
  part: MatrixPart;
  first: number;
  count: number;
  /** Their numbers, u32 [count]. */
  token: Tensor;
}

export interface FloatScratch {
  /** Matrices by their sizes. */
  matrices: ReadonlyMap<string, Tensor>;
  table?: {
    /** f32 [rows, C]. */
    rows: Tensor;
    pieces: readonly Piece[];
    /** Positions that add nothing: u32 [rows], f32 [1, C]. */
    pos: Tensor;
    wpe: Tensor;
  };
}

/** Floats of the table that are held at a time, at most: 64 MiB. */
const tableFloats = 2 ** 24;

const sizes = ({ inner, cols }: Matrix) => `${inner} × ${cols}`;

/** @throws LolaError "device" when the device has no room */
export function createFloatScratch(device: Device, { width }: ModelConfig, weights: Weights): FloatScratch {
  const matrices = new Map<string, Tensor>();
  for (const { w } of weights.layers.flatMap(({ qkv, out, up, down }) => [qkv, out, up, down])) {
    if (matrices.has(sizes(w)) || !w.parts.some(({ grouping }) => grouping)) continue;
    const shape = [w.inner, w.cols];
    matrices.set(sizes(w), device.tensor({ label: "dequantized", shape, type: "f32", layout: "matrix" }));
  }
  if (!weights.wte.parts.some(({ grouping }) => grouping)) return { matrices };
  const most = Math.max(1, Math.floor(tableFloats / width));
  const pieces = weights.wte.parts.flatMap((part) =>
    Array.from({ length: Math.ceil(part.count / most) }, (_, i): Piece => {
      const first = part.first + i * most;
      const count = Math.min(most, part.first + part.count - first);
      const token = device.tensor({ label: "tokens of a piece", shape: [count], type: "u32" });
      device.upload(token, new Uint8Array(Uint32Array.from({ length: count }, (_, t) => first + t).buffer));
      return { part, first, count, token };
    }),
  );
  const rows = Math.max(...pieces.map(({ count }) => count));
  return {
    matrices,
    table: {
      rows: device.tensor({ label: "dequantized rows", shape: [rows, width], type: "f32" }),
      pieces,
      pos: device.tensor({ label: "no positions", shape: [rows], type: "u32" }),
      wpe: device.tensor({ label: "no position", shape: [1, width], type: "f32" }),
    },
  };
}

/** `steps` with the matrix as floats: once with all parts that are, then matrix by matrix with those that were quantized. */
export function withFloats({ matrices }: FloatScratch, affine: Affine, steps: (affine: Affine) => Step[]): Step[] {
  const { w } = affine;
  const { inner, cols } = w;
  const of = (parts: readonly MatrixPart[]) => steps({ ...affine, w: { inner, cols, parts } });
  const floats = w.parts.filter(({ grouping }) => !grouping);
  const quantized = w.parts.flatMap(({ tensor: words, first, count, grouping }) =>
    Array.from({ length: grouping ? count : 0 }, (_, index): Step[] => {
      const tensor = matrices.get(sizes(w))!;
      const params = { inner, cols, index, ...grouping! };
      return [
        { kernel: matrixDequantize, bindings: { words, w: tensor }, params },
        ...of([{ tensor, first: first + index, count: 1 }]),
      ];
    }).flat(),
  );
  return [...(floats.length > 0 ? of(floats) : []), ...quantized];
}

/** The table as floats where it fits the scratch whole, for all `withRows` that follow. */
export function wholeTable(scratch: FloatScratch, config: ModelConfig): Step[] {
  return scratch.table?.pieces.length === 1 ? pieceSteps(scratch.table, config, scratch.table.pieces[0]!) : [];
}

/** `steps` with rows of the table as floats: parts that are, and piece by piece those that were quantized. */
export function withRows(
  { table }: FloatScratch,
  config: ModelConfig,
  { wte }: Weights,
  steps: (part: MatrixPart) => Step[],
): Step[] {
  if (!table) return wte.parts.flatMap(steps);
  const { rows: tensor, pieces } = table;
  return pieces.flatMap((piece) => [
    ...(pieces.length > 1 ? pieceSteps(table, config, piece) : []),
    ...steps({ tensor, first: piece.first, count: piece.count }),
  ]);
}

function pieceSteps(
  { rows: x, pos, wpe }: NonNullable<FloatScratch["table"]>,
  config: ModelConfig,
  { part, token, count }: Piece,
): Step[] {
  return embedSteps(config, { wte: { parts: [part] }, wpe }, { token, pos, x }, count);
}
