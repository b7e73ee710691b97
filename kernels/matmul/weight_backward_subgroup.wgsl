// 32 × 32 of dw a subgroup of 8: by broadcasts, 4 values of x and 4 of dy that a lane loads make 128 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [K, N] in panels
@group(0) @binding(3) var<storage, read_write> db: array<vec4f>; // [N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 32u;

var<workgroup> results: array<vec4f, ROWS * 8>;

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
  if (begin >= params.inner) {
    return;
  }
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  let last = params.inner - 1;
  let r0 = min(begin + lane, last);
  let r1 = min(begin + lane + 8, last);
  let r2 = min(begin + lane + 16, last);
  let r3 = min(begin + lane + 24, last);
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  var bias = vec4f();
  for (var t = 0u; t < params.rows; t++) {
    let from_x = t * params.inner;
    let columns = dy[t * cols + column];
    products(&s0, x[from_x + r0], columns);
    products(&s1, x[from_x + r1], columns);
    products(&s2, x[from_x + r2], columns);
    products(&s3, x[from_x + r3], columns);
    bias += columns;
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < 8; r++) {
    results[r * 8 + lane] = s0[r];
    results[(r + 8) * 8 + lane] = s1[r];
    results[(r + 16) * 8 + lane] = s2[r];
    results[(r + 24) * 8 + lane] = s3[r];
  }
  if (n >= cols) {
    return;
  }
  let panel = select(cols, 16, cols % 16 == 0);
  let at = (n / panel) * params.inner * panel + n % panel;
  let stop = min(begin + ROWS, params.inner);
  for (var k = begin; k < stop; k++) {
    let i = at + k * panel;
    let sum = results[(k - begin) * 8 + lane];
    dw[i] = select(sum, dw[i] + sum, params.add == 1);
  }
  if (begin == 0) {
    db[n] = select(bias, db[n] + bias, params.add == 1);
  }
}
