// 32 rows by 32 columns of dx a subgroup of 8: lanes have rows of dy, each the products' by broadcasts.
// For CPU adapters, where a load costs as much as dozens
// of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(1) var<storage, read> w: array<u32>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> u: array<vec4f>; // [T, K], read if gelu
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>; // [T, K]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 32u;

var<workgroup> results: array<vec4f, ROWS * 8>;

fn weight(i: u32) -> f32 {
  if (W_TYPE == 0) {
    return bitcast<f32>(w[i]);
  }
  let word = w[i / 2];
  let bits = select(word & 0xffff, word >> 16, (i & 1) == 1);
  if (W_TYPE == 1) {
    return unpack2x16float(bits).x;
  }
  return bitcast<f32>(bits << 16);
}

// Derivative of gelu.
fn slope(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let t = tanh(clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10)));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + 0.134145 * x * x);
}

// Adds eight rows, the lanes' values of a, times a lane's four columns.
fn products(sums: ptr<function, array<vec4f, 8>>, a: f32, columns: vec4f) {
  sums[0] += subgroupBroadcast(a, 0) * columns;
  sums[1] += subgroupBroadcast(a, 1) * columns;
  sums[2] += subgroupBroadcast(a, 2) * columns;
  sums[3] += subgroupBroadcast(a, 3) * columns;
  sums[4] += subgroupBroadcast(a, 4) * columns;
  sums[5] += subgroupBroadcast(a, 5) * columns;
  sums[6] += subgroupBroadcast(a, 6) * columns;
  sums[7] += subgroupBroadcast(a, 7) * columns;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  if (begin >= params.rows) {
    return;
  }
  let inner = params.inner / 4;
  let k = group.x * 8 + lane;
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  // Lanes and rows beyond the last repeat it, and do not store.
  let from_w = min(k, inner - 1) * 4 * panel;
  let last = params.rows - 1;
  let r0 = min(begin + lane, last) * params.cols;
  let r1 = min(begin + lane + 8, last) * params.cols;
  let r2 = min(begin + lane + 16, last) * params.cols;
  let r3 = min(begin + lane + 24, last) * params.cols;
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  for (var n = 0u; n < params.cols; n++) {
    let i = from_w + n / panel * panel * params.inner + n % panel;
    let columns = vec4f(weight(i), weight(i + panel), weight(i + 2 * panel), weight(i + 3 * panel));
    products(&s0, dy[r0 + n], columns);
    products(&s1, dy[r1 + n], columns);
    products(&s2, dy[r2 + n], columns);
    products(&s3, dy[r3 + n], columns);
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < 8; r++) {
    results[r * 8 + lane] = s0[r];
    results[(r + 8) * 8 + lane] = s1[r];
    results[(r + 16) * 8 + lane] = s2[r];
    results[(r + 24) * 8 + lane] = s3[r];
  }
  if (k >= inner) {
    return;
  }
  let stop = min(begin + ROWS, params.rows);
  for (var t = begin; t < stop; t++) {
    let i = t * inner + k;
    var sum = results[(t - begin) * 8 + lane];
    if (params.gelu == 1) {
      sum *= slope(u[i]);
    }
    dx[i] = sum;
  }
}
