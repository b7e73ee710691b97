// Eight rows by 4 × 8 columns a subgroup of 8: a load of x serves 8 values of k by broadcasts. For CPU adapters, where
// each load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> w: array<vec4u>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> b: array<vec4f>; // [N]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 8u;

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

fn gelu(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let u = clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10));
  return 0.5 * x * (1 + tanh(u));
}

fn store(t: u32, n: u32, product: vec4f) {
  let sum = product + b[n];
  let i = t * (params.cols / 4) + n;
  if (params.add == 1) {
    y[i] += sum;
  } else if (params.gelu == 1) {
    y[i] = gelu(sum);
  } else {
    y[i] = sum;
  }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  let end = params.rows;
  if (begin >= end) {
    return;
  }
  let cols = params.cols / 4;
  let panel = select(cols, 16, cols % 16 == 0);
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  var at = (column / panel) * params.inner * panel + column % panel;
  var rows: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    rows[r] = min(begin + r, end - 1) * params.inner + lane;
  }
  var a: array<f32, ROWS>;
  var sums: array<vec4f, ROWS>;
  for (var k = 0u; k < params.inner; k += 8) {
    for (var r = 0u; r < ROWS; r++) {
      a[r] = x[rows[r] + k];
    }
    let w0 = weights(at);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 0) * w0;
    }
    let w1 = weights(at + panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 1) * w1;
    }
    let w2 = weights(at + 2 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 2) * w2;
    }
    let w3 = weights(at + 3 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 3) * w3;
    }
    let w4 = weights(at + 4 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 4) * w4;
    }
    let w5 = weights(at + 5 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 5) * w5;
    }
    let w6 = weights(at + 6 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 6) * w6;
    }
    let w7 = weights(at + 7 * panel);
    for (var r = 0u; r < ROWS; r++) {
      sums[r] += subgroupBroadcast(a[r], 7) * w7;
    }
    at += 8 * panel;
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < ROWS; r++) {
    results[r * 8 + lane] = sums[r];
  }
  if (n >= cols) {
    return;
  }
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop; i++) {
    store(i, n, results[(i - begin) * 8 + lane]);
  }
}
