// 32 × 32 of y a subgroup of 8, whose lanes have 4 columns each and hand each other rows of h by broadcasts, so that codes
// are read once for 32 rows. For CPU adapters, where a load costs as much as dozens of products.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  bits: u32,
  group: u32,
}

override BITS: u32 = 8;
override GROUP: u32 = 64;
override BLOCK: u32 = 4 + GROUP * BITS / 8; // vec4 of a block: 2 of scales, 2 of minimums, then lines of 4

@group(0) @binding(0) var<storage, read> h: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(4) var<storage, read> w: array<vec4u>; // [E part, panels, blocks, lines]
@group(0) @binding(5) var<storage, read> b: array<vec4f>; // [E, N]
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(7) var<uniform> params: Params;

const ROWS = 32u;

var<workgroup> results: array<vec4f, ROWS * 8>;

// Four of the halves that begin at vec4 i of w, those of vec4 column n of the panel.
fn halves(i: u32, n: u32) -> vec4f {
  let words = w[i + n / 2];
  let pair = select(words.xy, words.zw, (n & 1) == 1);
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// Four rows of w, whose codes are the bytes of the four columns' words.
fn weights(words: vec4u, scale: vec4f, minimum: vec4f) -> mat4x4f {
  return transpose(mat4x4f(
    scale.x * vec4f(unpack4xU8(words.x)) + minimum.x,
    scale.y * vec4f(unpack4xU8(words.y)) + minimum.y,
    scale.z * vec4f(unpack4xU8(words.z)) + minimum.z,
    scale.w * vec4f(unpack4xU8(words.w)) + minimum.w,
  ));
}

fn store(e: u32, i: u32, n: u32, product: vec4f) {
  let t = order[i];
  y[t * (params.cols / 4) + n] += prob[params.at + t] * (product + b[e * (params.cols / 4) + n]);
}

// Adds eight rows, four values of a lane each, times the lane's four columns.
fn products(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: vec4f, columns: mat4x4f) {
  sums[row] += columns * subgroupBroadcast(a, 0);
  sums[row + 1] += columns * subgroupBroadcast(a, 1);
  sums[row + 2] += columns * subgroupBroadcast(a, 2);
  sums[row + 3] += columns * subgroupBroadcast(a, 3);
  sums[row + 4] += columns * subgroupBroadcast(a, 4);
  sums[row + 5] += columns * subgroupBroadcast(a, 5);
  sums[row + 6] += columns * subgroupBroadcast(a, 6);
  sums[row + 7] += columns * subgroupBroadcast(a, 7);
}

// Expert and first row of the group's tile: experts have whole tiles, in order; beyond the last, none.
fn tile(index: u32) -> vec2u {
  var rest = index;
  for (var e = params.first; e < params.first + params.count; e++) {
    let tiles = (start[e + 1] - start[e] + ROWS - 1) / ROWS;
    if (rest < tiles) {
      return vec2u(e, start[e] + rest * ROWS);
    }
    rest -= tiles;
  }
  return vec2u(0, 0xffffffff);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let found = tile(group.y);
  if (found.y == 0xffffffff) {
    return;
  }
  let e = found.x;
  let begin = found.y;
  let end = start[e + 1];
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  let panel = (e - params.first) * ((params.cols + 15) / 16) + column / 4;
  var block = panel * ((params.inner + GROUP - 1) / GROUP) * BLOCK;
  let quads = params.inner / 4;
  let rows = min(vec4u(begin + lane) + vec4u(0, 8, 16, 24), vec4u(end - 1)) * quads;
  let live = end - begin;
  var sums: array<vec4f, ROWS>;
  for (var first = 0u; first < quads; first += GROUP / 4) {
    let scale = halves(block, column % 4);
    let minimum = halves(block + 2, column % 4);
    for (var k = first; k < min(first + GROUP / 4, quads); k++) {
      let row = 4 * (k - first);
      var words = w[block + 4 + row * BITS / 32 * 4 + column % 4];
      if (BITS == 4) {
        words = (words >> vec4u(row & 4)) & vec4u(0x0f0f0f0f);
      }
      let columns = weights(words, scale, minimum);
      products(&sums, 0, h[rows.x + k], columns);
      if (live > 8) {
        products(&sums, 8, h[rows.y + k], columns);
      }
      if (live > 16) {
        products(&sums, 16, h[rows.z + k], columns);
      }
      if (live > 24) {
        products(&sums, 24, h[rows.w + k], columns);
      }
    }
    block += BLOCK;
  }
  // By way of workgroup memory: an index that varies would put the sums in memory all along.
  for (var r = 0u; r < ROWS; r++) {
    results[r * 8 + lane] = sums[r];
  }
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop && n < cols; i++) {
    store(e, i, n, results[(i - begin) * 8 + lane]);
  }
}
