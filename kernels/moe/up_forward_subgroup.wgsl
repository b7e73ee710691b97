// Eight rows by 4 × 8 columns a subgroup of 8; a load of x serves 8 values of k by broadcasts: for CPU adapters.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  gelu: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> w: array<vec4u>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read> b: array<vec4f>; // [E, N]
@group(0) @binding(5) var<storage, read_write> h: array<vec4f>; // [T, N]
@group(0) @binding(6) var<uniform> params: Params;

const ROWS = 8u;
const HALF = 4u;

var<workgroup> results: array<vec4f, ROWS * 8>;

// Elements 4 i … 4 i + 3 of w.
fn weights(i: u32) -> vec4f {
  if (W_TYPE == 0) {
    return bitcast<vec4f>(w[i]);
  }
  let pair = w[i / 2];
  let words = select(pair.xy, pair.zw, (i & 1) == 1);
  if (W_TYPE == 1) {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  return bitcast<vec4f>(vec4u(words.x << 16, words.x & 0xffff0000, words.y << 16, words.y & 0xffff0000));
}

fn activate(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let u = clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10));
  return select(x, 0.5 * x * (1 + tanh(u)), params.gelu == 1);
}

fn store(e: u32, i: u32, n: u32, product: vec4f) {
  h[i * (params.cols / 4) + n] = activate(product + b[e * (params.cols / 4) + n]);
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
  let panel = select(cols, 16, cols % 16 == 0);
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  var at = ((e - params.first) * (cols / panel) + column / panel) * params.inner * panel + column % panel;
  var rows: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    rows[r] = order[min(begin + r, end - 1)] * params.inner + lane;
  }
  var a: array<f32, ROWS>;
  var sums: array<vec4f, ROWS>;
  // A tile of few rows, an expert's last, skips the upper half.
  let whole = end - begin > HALF;
  for (var k = 0u; k < params.inner; k += 8) {
    for (var r = 0u; r < HALF; r++) {
      a[r] = x[rows[r] + k];
    }
    if (whole) {
      for (var r = HALF; r < ROWS; r++) {
        a[r] = x[rows[r] + k];
      }
    }
    let w0 = weights(at);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 0) * w0;
    }
    let w1 = weights(at + panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 1) * w1;
    }
    let w2 = weights(at + 2 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 2) * w2;
    }
    let w3 = weights(at + 3 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 3) * w3;
    }
    let w4 = weights(at + 4 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 4) * w4;
    }
    let w5 = weights(at + 5 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 5) * w5;
    }
    let w6 = weights(at + 6 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 6) * w6;
    }
    let w7 = weights(at + 7 * panel);
    for (var r = 0u; r < HALF; r++) {
      sums[r] += subgroupBroadcast(a[r], 7) * w7;
    }
    if (whole) {
      for (var r = HALF; r < ROWS; r++) {
        sums[r] += subgroupBroadcast(a[r], 0) * w0;
        sums[r] += subgroupBroadcast(a[r], 1) * w1;
        sums[r] += subgroupBroadcast(a[r], 2) * w2;
        sums[r] += subgroupBroadcast(a[r], 3) * w3;
        sums[r] += subgroupBroadcast(a[r], 4) * w4;
        sums[r] += subgroupBroadcast(a[r], 5) * w5;
        sums[r] += subgroupBroadcast(a[r], 6) * w6;
        sums[r] += subgroupBroadcast(a[r], 7) * w7;
      }
    }
    at += 8 * panel;
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < ROWS; r++) {
    results[r * 8 + lane] = sums[r];
  }
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop && n < cols; i++) {
    store(e, i, n, results[(i - begin) * 8 + lane]);
  }
}
