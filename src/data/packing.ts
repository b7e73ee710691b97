/** Whole examples in rows of equal length: which go together. */
import { philox } from "../base/random.ts";
import { permuted } from "./order.ts";

/** Rows of examples. */
export interface Packing {
  /** Numbers of the examples, row by row. */
  examples: Uint32Array;
  /** [rows + 1] row r is examples[starts[r], starts[r + 1]). */
  starts: Uint32Array;
}

/**
 * Best fit: each example, in the order given, goes into the row in which it leaves the least room, or else begins one.
 * @param numbers the examples, in order
 * @param lengthOf tokens of an example, at most `room`
 * @param room tokens of a row
 */
export function packRows(numbers: Uint32Array, lengthOf: (example: number) => number, room: number): Packing {
  // Rows by the room that is left in them: a list for each room, as its last row and the one before each.
  const last = new Int32Array(room + 1).fill(-1);
  const before = new Int32Array(numbers.length);
  const rowOf = new Uint32Array(numbers.length);
  let rows = 0;
  for (let i = 0; i < numbers.length; i++) {
    const length = lengthOf(numbers[i]!);
    let left = length;
    while (left <= room && last[left]! < 0) left++;
    let row: number;
    if (left > room) {
      row = rows++;
      left = room;
    } else {
      row = last[left]!;
      last[left] = before[row]!;
    }
    rowOf[i] = row;
    left -= length;
    before[row] = last[left]!;
    last[left] = row;
  }
  return grouped(numbers, rowOf, rows);
}

/** Examples by their rows: a stable counting sort. */
function grouped(numbers: Uint32Array, rowOf: Uint32Array, rows: number): Packing {
  const starts = new Uint32Array(rows + 1);
  for (const row of rowOf) starts[row + 1]!++;
  for (let row = 0; row < rows; row++) starts[row + 1]! += starts[row]!;
  const next = starts.slice();
  const examples = new Uint32Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) examples[next[rowOf[i]!]!++] = numbers[i]!;
  return { examples, starts };
}

/** What a random order is of, as the last word of its salt. */
const EXAMPLES = 1;
const ROWS = 2;

/**
 * The rows of an epoch: the examples in an order of their own, packed, and the rows in another; other ones each epoch.
 * @param key of Philox
 */
export function packEpoch(
  numbers: Uint32Array,
  lengthOf: (example: number) => number,
  room: number,
  key: readonly [number, number],
  epoch: number,
): Packing {
  const order = numbers.map((_, i) => numbers[permuted(i, numbers.length, key, [EXAMPLES, epoch, 0])]!);
  // The longest first: then hardly any room is lost (best fit decreasing). Equal lengths keep their random order.
  order.sort((a, b) => lengthOf(b) - lengthOf(a));
  const { examples, starts } = packRows(order, lengthOf, room);
  const rows = starts.length - 1;
  const shuffled: Packing = { examples: new Uint32Array(examples.length), starts: new Uint32Array(rows + 1) };
  for (let r = 0; r < rows; r++) {
    const row = permuted(r, rows, key, [ROWS, epoch, 0]);
    const some = examples.subarray(starts[row], starts[row + 1]);
    shuffled.examples.set(some, shuffled.starts[r]);
    shuffled.starts[r + 1] = shuffled.starts[r]! + some.length;
  }
  return shuffled;
}

/** Key of the orders that a seed gives. */
export function orderKey([low, high]: readonly [number, number]): [number, number] {
  const [a, b] = philox([low, high], [0, 0, 0, 0x65786d70]);
  return [a, b];
}
