// 64 × 32 of dx a subgroup of 8: by broadcasts, 8 values of dy and 4 of w that a lane loads make 256 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(1) var<storage, read> w: array<vec4u>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> u: array<vec4f>; // [T, K], read if gelu
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>; // [T, K]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 64u;

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

// Derivative of gelu.
fn slope(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let t = tanh(clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10)));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + 0.134145 * x * x);
}

// Adds eight rows, the lanes' values of a, times a lane's four columns.
fn products(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: f32, columns: vec4f) {
  sums[row] += subgroupBroadcast(a, 0) * columns;
  sums[row + 1] += subgroupBroadcast(a, 1) * columns;
  sums[row + 2] += subgroupBroadcast(a, 2) * columns;
  sums[row + 3] += subgroupBroadcast(a, 3) * columns;
  sums[row + 4] += subgroupBroadcast(a, 4) * columns;
  sums[row + 5] += subgroupBroadcast(a, 5) * columns;
  sums[row + 6] += subgroupBroadcast(a, 6) * columns;
  sums[row + 7] += subgroupBroadcast(a, 7) * columns;
}

// Adds 32 rows.
fn half(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: vec4f, columns: vec4f) {
  products(sums, row, a.x, columns);
  products(sums, row + 8, a.y, columns);
  products(sums, row + 16, a.z, columns);
  products(sums, row + 24, a.w, columns);
}

// sums[r], by selections: an index that varies would put the sums in memory.
fn pick(sums: ptr<function, array<vec4f, ROWS>>, r: u32) -> vec4f {
  var rest: array<vec4f, 32>;
  for (var i = 0u; i < 32; i++) {
    rest[i] = select(sums[i], sums[i + 32], (r & 32) != 0);
  }
  for (var i = 0u; i < 16; i++) {
    rest[i] = select(rest[i], rest[i + 16], (r & 16) != 0);
  }
  for (var i = 0u; i < 8; i++) {
    rest[i] = select(rest[i], rest[i + 8], (r & 8) != 0);
  }
  for (var i = 0u; i < 4; i++) {
    rest[i] = select(rest[i], rest[i + 4], (r & 4) != 0);
  }
  return select(select(rest[0], rest[2], (r & 2) != 0), select(rest[1], rest[3], (r & 2) != 0), (r & 1) != 0);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  if (begin >= params.rows) {
    return;
  }
  let inner = params.inner / 4;
  let k = group.x * 8 + lane;
  let quads = params.cols / 4;
  let panel = select(quads, 16, quads % 16 == 0);
  // Lanes and rows beyond the last repeat it, and do not store.
  let from_w = min(k, inner - 1) * 4 * panel;
  let low = min(vec4u(begin + lane) + vec4u(0, 8, 16, 24), vec4u(params.rows - 1)) * quads;
  let high = min(vec4u(begin + lane) + vec4u(32, 40, 48, 56), vec4u(params.rows - 1)) * quads;
  // The last rows may skip the upper half.
  let whole = params.rows - begin > 32;
  var sums: array<vec4f, ROWS>;
  for (var n = 0u; n < quads; n++) {
    let at = from_w + n / panel * panel * params.inner + n % panel;
    let b = transpose(mat4x4f(weights(at), weights(at + panel), weights(at + 2 * panel), weights(at + 3 * panel)));
    let i = low + n;
    let a = transpose(mat4x4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]));
    half(&sums, 0, a[0], b[0]);
    half(&sums, 0, a[1], b[1]);
    half(&sums, 0, a[2], b[2]);
    half(&sums, 0, a[3], b[3]);
    if (whole) {
      let j = high + n;
      let c = transpose(mat4x4f(dy[j.x], dy[j.y], dy[j.z], dy[j.w]));
      half(&sums, 32, c[0], b[0]);
      half(&sums, 32, c[1], b[1]);
      half(&sums, 32, c[2], b[2]);
      half(&sums, 32, c[3], b[3]);
    }
  }
  if (k >= inner) {
    return;
  }
  let stop = min(begin + ROWS, params.rows);
  for (var t = begin; t < stop; t++) {
    let i = t * inner + k;
    var sum = pick(&sums, t - begin);
    if (params.add == 1) {
      sum += dx[i];
    }
    if (params.gelu == 1) {
      sum *= slope(u[i]);
    }
    dx[i] = sum;
  }
}
