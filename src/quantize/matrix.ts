/** Matrices → words on a device, slab by slab, in buffers that are made once. */
import { matrixQuantize } from "../../kernels/quant/matrix_quantize.ts";
import { DataError } from "../base/errors.ts";
import { blockWords, type Grouping, groupingOf, matrixWords, type QuantType, quantPanel } from "../base/quant.ts";
import { type QuantMatrix, quantMatrix } from "../checkpoint/quantized.ts";
import type { Device, Program, Tensor } from "../device/device.ts";
import { Compensator, feedbackOf } from "./compensate.ts";

export interface MatrixShape {
  name: string;
  type: QuantType;
  shape: readonly number[];
}

/** Sums over a matrix, f64 of f32 ones. */
export interface SquaredError {
  /** Σ (w − what the words say)². */
  error: number;
  /** Σ w². */
  energy: number;
}

/** What a device was prepared for: a slab of this shape in this type. */
interface Prepared {
  program: Program;
  w: Tensor;
  sums: Tensor;
}

/** Rows as they are stored that a slab holds: whole panels of a table, whole groups of a matrix. */
function slabRows({ inner, cols, turned }: QuantMatrix, group: number, floats: number): number {
  const [unit, width, rows] = turned ? [quantPanel, inner, cols] : [group, cols, inner];
  return Math.min(rows, unit * Math.max(1, Math.floor(floats / (unit * width))));
}

const blocksOf = ({ inner, cols }: Pick<QuantMatrix, "inner" | "cols">, { group }: Grouping) =>
  Math.ceil(cols / quantPanel) * Math.ceil(inner / group);

/** Holds the device's buffers until `close`. */
export class MatrixQuantizer {
  private readonly x: Tensor;
  private readonly importance: Tensor;
  private readonly words: Tensor;
  private readonly sums: Tensor;
  private readonly prepared = new Map<string, Prepared>();
  private readonly compensators = new Map<string, Compensator>();

  /**
   * @param matrices all that will be quantized, so that the buffers fit each
   * @param slabFloats f32 that a slab has at most, unless one group of rows has more; default 64 MiB of them
   */
  constructor(
    private readonly device: Device,
    matrices: readonly MatrixShape[],
    private readonly slabFloats = 1 << 24,
  ) {
    let [x, importance, words, sums] = [1, 1, 1, 1];
    for (const { name, type, shape } of matrices) {
      const [matrix, grouping] = [quantMatrix(name, shape), groupingOf(type)];
      const rows = slabRows(matrix, grouping.group, this.slabFloats);
      const slab = matrix.turned ? { ...matrix, cols: rows } : { ...matrix, inner: rows };
      x = Math.max(x, slab.inner * slab.cols);
      importance = Math.max(importance, slab.inner);
      words = Math.max(words, matrixWords(grouping, slab.inner, slab.cols));
      sums = Math.max(sums, 2 * blocksOf(slab, grouping));
    }
    const make = (label: string, size: number, type: "f32" | "u32") => device.tensor({ label, shape: [size], type });
    this.x = make("weights to quantize", x, "f32");
    this.importance = make("importance", importance, "f32");
    this.words = make("quantized words", words, "u32");
    this.sums = make("squared errors", sums, "f32");
  }

  /**
   * The words of one matrix; of a table a slab at a time, else whole. Adds to `sums`.
   * @param pieces its elements, row-major as stored
   * @param importance [inner] of each input's error, ≥ 0
   * @param onward called with the elements done after each slab
   * @throws DataError "weights.finite" for NaN and infinities
   */
  async *quantize(
    { name, type, shape }: MatrixShape,
    pieces: Iterable<Float32Array>,
    importance: Float32Array,
    sums: SquaredError,
    onward: (elements: number) => void,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const [matrix, grouping] = [quantMatrix(name, shape), groupingOf(type)];
    const { inner, cols, turned } = matrix;
    const width = turned ? inner : cols;
    const most = slabRows(matrix, grouping.group, this.slabFloats) * width;
    const whole = turned ? undefined : new Uint32Array(matrixWords(grouping, inner, cols));
    let [done, filled] = [0, 0];
    for (const piece of pieces) {
      checkFinite(name, piece, done + filled, width);
      for (let taken = 0; taken < piece.length; ) {
        const size = Math.min(most, inner * cols - done);
        const count = Math.min(size - filled, piece.length - taken);
        this.device.upload(this.x, bytesOf(piece.subarray(taken, taken + count)), 4 * filled);
        taken += count;
        filled += count;
        if (filled < size) continue;
        const [first, rows] = [done / width, size / width];
        const slab = turned ? { ...matrix, cols: rows } : { ...matrix, inner: rows };
        this.device.upload(this.importance, bytesOf(turned ? importance : importance.subarray(first, first + rows)));
        const { program, w, sums: parts } = this.prepare(slab, grouping);
        const [words, squares] = await this.device.run(program, {}, { read: [w, parts], ...(signal && { signal }) });
        add(sums, squares!);
        if (whole) spread(words!, whole, slab.inner, first, inner, grouping);
        else yield words!;
        done += size;
        filled = 0;
        onward(done);
      }
    }
    if (whole) yield bytesOf(whole);
  }

  /**
   * The same with error compensation, of a matrix that is no table: the products with inputs of these moments are kept, rather
   * than each weight.
   * @param moments [inner, inner]: XᵀX of its inputs
   */
  async *compensate(
    { name, type, shape }: MatrixShape,
    pieces: Iterable<Float32Array>,
    importance: Float32Array,
    moments: Float32Array,
    sums: SquaredError,
    onward: (elements: number) => void,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const [matrix, grouping] = [quantMatrix(name, shape), groupingOf(type)];
    const { inner, cols } = matrix;
    const whole = new Uint32Array(matrixWords(grouping, inner, cols));
    const feedback = feedbackOf(moments, inner);
    const compensator = this.compensator(matrix, grouping);
    let first = 0;
    for (const rows of inRows(name, pieces, grouping.group, matrix)) {
      const slab = { ...matrix, inner: rows.length / cols };
      const wanted = await compensator.wanted(rows, first, feedback);
      this.device.upload(this.x, bytesOf(wanted));
      this.device.upload(this.importance, bytesOf(importance.subarray(first, first + slab.inner)));
      const { program, w } = this.prepare(slab, grouping);
      const [found] = await this.device.run(program, {}, { read: [w], ...(signal && { signal }) });
      const words = new Uint32Array(found!.slice().buffer);
      sums.error += compensator.settle(words, rows, wanted, first, feedback);
      for (const weight of rows) sums.energy += weight ** 2;
      spread(bytesOf(words), whole, slab.inner, first, inner, grouping);
      first += slab.inner;
      onward(first * cols);
    }
    yield bytesOf(whole);
  }

  private compensator({ inner, cols }: QuantMatrix, grouping: Grouping): Compensator {
    const key = [inner, cols, grouping.bits, grouping.group].join();
    let compensator = this.compensators.get(key);
    if (!compensator) {
      compensator = new Compensator(this.device, { inner, cols }, grouping);
      this.compensators.set(key, compensator);
    }
    return compensator;
  }

  private prepare({ inner, cols, turned }: QuantMatrix, grouping: Grouping): Prepared {
    const params = { inner, cols, turned: turned ? 1 : 0, bits: grouping.bits, group: grouping.group };
    const key = Object.values(params).join();
    const known = this.prepared.get(key);
    if (known) return known;
    const { device } = this;
    const blocks = blocksOf({ inner, cols }, grouping);
    const bindings = {
      x: device.view(this.x, 0, turned ? [cols, inner] : [inner, cols]),
      importance: device.view(this.importance, 0, [inner]),
      w: device.view(this.words, 0, [matrixWords(grouping, inner, cols)]),
      sums: device.view(this.sums, 0, [blocks, 2]),
    };
    const program = device.program(`quantize ${inner} × ${cols}`, [{ kernel: matrixQuantize, bindings, params }]);
    const prepared = { program, w: bindings.w, sums: bindings.sums };
    this.prepared.set(key, prepared);
    return prepared;
  }

  close(): void {
    for (const tensor of [this.x, this.importance, this.words, this.sums]) this.device.free(tensor);
    for (const compensator of this.compensators.values()) compensator.close();
  }
}

/** Puts a slab's words, [panels, its groups], among those of the whole matrix, [panels, groups]. */
function spread(
  slab: Uint8Array,
  whole: Uint32Array,
  rows: number,
  first: number,
  inner: number,
  grouping: Grouping,
): void {
  const block = 4 * blockWords(grouping);
  const [some, all] = [block * Math.ceil(rows / grouping.group), block * Math.ceil(inner / grouping.group)];
  const target = bytesOf(whole);
  for (let panel = 0; panel * some < slab.length; panel++) {
    const run = slab.subarray(panel * some, (panel + 1) * some);
    target.set(run, panel * all + (first / grouping.group) * block);
  }
}

function add(sums: SquaredError, squares: Uint8Array): void {
  const values = new Float32Array(squares.slice().buffer);
  for (let i = 0; i < values.length; i += 2) {
    sums.error += values[i]!;
    sums.energy += values[i + 1]!;
  }
}

/** So many rows of a matrix at a time, the last time what is left. */
function* inRows(
  name: string,
  pieces: Iterable<Float32Array>,
  count: number,
  { inner, cols }: QuantMatrix,
): Generator<Float32Array> {
  let rows = new Float32Array(0);
  let [done, filled] = [0, 0];
  for (const piece of pieces) {
    checkFinite(name, piece, done + filled, cols);
    for (let taken = 0; taken < piece.length; ) {
      if (filled === 0) rows = new Float32Array(Math.min(count * cols, inner * cols - done));
      const some = piece.subarray(taken, taken + rows.length - filled);
      rows.set(some, filled);
      taken += some.length;
      filled += some.length;
      if (filled < rows.length) continue;
      yield rows;
      done += filled;
      filled = 0;
    }
  }
}

/** @param from place of the piece in the tensor */
function checkFinite(name: string, piece: Float32Array, from: number, width: number): void {
  const bits = new Uint32Array(piece.buffer, piece.byteOffset, piece.length);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7f800000) !== 0x7f800000) continue;
    const [row, column] = [Math.floor((from + i) / width), (from + i) % width];
    throw new DataError(
      "weights.finite",
      `${name}[${row}, ${column}] is ${piece[i]}: no scale covers it`,
      "a model whose training did not fail",
    );
  }
}

const bytesOf = (values: Float32Array | Uint32Array) =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
