// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 of the inner axis at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

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

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> xs: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
var<workgroup> ws: array<part, INNER * COLS>; // [INNER, COLS]

// Four of the halves that begin at vec4 i of w, those of vec4 column n of the panel.
fn halves(i: u32, n: u32) -> vec4f {
  let words = w[i + n / 2];
  let pair = select(words.xy, words.zw, (n & 1) == 1);
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// Rows 4 i … 4 i + 3 of vec4 column n of the panel that begins at vec4 `at` of w.
fn weights(at: u32, i: u32, n: u32) -> mat4x4f {
  let block = at + 4 * i / GROUP * BLOCK;
  let row = 4 * i % GROUP;
  var words = w[block + 4 + row * BITS / 32 * 4 + n];
  if (BITS == 4) {
    words = (words >> vec4u(row & 4)) & vec4u(0x0f0f0f0f);
  }
  let scale = halves(block, n);
  let minimum = halves(block + 2, n);
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

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let found = tile(group.y);
  if (found.y == 0xffffffff) {
    return;
  }
  let e = found.x;
  let begin = found.y;
  let end = start[e + 1];
  let cols = params.cols / 4;
  let quads = params.inner / 4;
  // Half of the threads bring 4 × 4 values of h each, the others of w; each computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let n = group.x * COLS + tx;
  let quad = select(thread % 4, ty % 4, thread >= 64);
  let block = (thread % 64) / 4;
  let rows = min(vec4u(begin + 4 * block) + vec4u(0, 1, 2, 3), vec4u(end - 1)) * quads;
  let column = min(n, cols - 1);
  let at = ((e - params.first) * ((params.cols + 15) / 16) + column / 4) * ((params.inner + GROUP - 1) / GROUP) * BLOCK;
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var k = 0u; k < quads; k += INNER / 4) {
    var value = mat4x4f();
    if (k + quad < quads && thread < 64) {
      let i = rows + k + quad;
      value = transpose(mat4x4f(h[i.x], h[i.y], h[i.z], h[i.w]));
    } else if (k + quad < quads) {
      value = weights(at, k + quad, column % 4);
    }
    for (var j = 0u; j < 4; j++) {
      if (thread < 64) {
        xs[(quad * 4 + j) * (ROWS / 4) + block] = part(value[j]);
      } else {
        ws[(quad * 4 + j) * COLS + tx] = part(value[j]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < INNER; i++) {
      let low = xs[i * (ROWS / 4) + 2 * ty];
      let high = xs[i * (ROWS / 4) + 2 * ty + 1];
      let value = ws[i * COLS + tx];
      parts[0] += low.x * value;
      parts[1] += low.y * value;
      parts[2] += low.z * value;
      parts[3] += low.w * value;
      parts[4] += high.x * value;
      parts[5] += high.y * value;
      parts[6] += high.z * value;
      parts[7] += high.w * value;
    }
    workgroupBarrier();
    if (HALF) {
      for (var r = 0u; r < 8; r++) {
        sums[r] += vec4f(parts[r]);
      }
      parts = array<part, 8>();
    }
  }
  for (var r = 0u; r < 8; r++) {
    let i = begin + 8 * ty + r;
    if (i < end && n < cols) {
      store(e, i, n, sums[r] + vec4f(parts[r]));
    }
  }
}
