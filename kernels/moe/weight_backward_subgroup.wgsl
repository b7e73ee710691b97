// 64 × 32 of dw[e] a subgroup of 8: by broadcasts, 8 values of x and 4 of dy that a lane loads make 256 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, K], in order
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, N], in order
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read_write> dw: array<vec4f>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read_write> db: array<vec4f>; // [E, N]
@group(0) @binding(5) var<uniform> params: Params;

const ROWS = 64u;

var<workgroup> results: array<vec4f, ROWS * 8>;

// Adds eight rows, the values of a and b, times a lane's four columns.
fn products(sums: ptr<function, array<vec4f, 8>>, a: vec4f, b: vec4f, columns: vec4f) {
  sums[0] += a.x * columns;
  sums[1] += a.y * columns;
  sums[2] += a.z * columns;
  sums[3] += a.w * columns;
  sums[4] += b.x * columns;
  sums[5] += b.y * columns;
  sums[6] += b.z * columns;
  sums[7] += b.w * columns;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  if (begin >= params.inner || group.z >= params.count) {
    return;
  }
  let e = params.first + group.z;
  let end = start[e + 1];
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  let quads = params.inner / 4;
  let low_quad = min(begin / 4 + lane, quads - 1);
  let high_quad = min(begin / 4 + lane + 8, quads - 1);
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  var s4: array<vec4f, 8>;
  var s5: array<vec4f, 8>;
  var s6: array<vec4f, 8>;
  var s7: array<vec4f, 8>;
  var bias = vec4f();
  for (var i = start[e]; i < end; i++) {
    let columns = dy[i * cols + column];
    let low = x[i * quads + low_quad];
    let high = x[i * quads + high_quad];
    products(&s0, subgroupBroadcast(low, 0), subgroupBroadcast(low, 1), columns);
    products(&s1, subgroupBroadcast(low, 2), subgroupBroadcast(low, 3), columns);
    products(&s2, subgroupBroadcast(low, 4), subgroupBroadcast(low, 5), columns);
    products(&s3, subgroupBroadcast(low, 6), subgroupBroadcast(low, 7), columns);
    products(&s4, subgroupBroadcast(high, 0), subgroupBroadcast(high, 1), columns);
    products(&s5, subgroupBroadcast(high, 2), subgroupBroadcast(high, 3), columns);
    products(&s6, subgroupBroadcast(high, 4), subgroupBroadcast(high, 5), columns);
    products(&s7, subgroupBroadcast(high, 6), subgroupBroadcast(high, 7), columns);
    bias += columns;
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < 8; r++) {
    results[r * 8 + lane] = s0[r];
    results[(r + 8) * 8 + lane] = s1[r];
    results[(r + 16) * 8 + lane] = s2[r];
    results[(r + 24) * 8 + lane] = s3[r];
    results[(r + 32) * 8 + lane] = s4[r];
    results[(r + 40) * 8 + lane] = s5[r];
    results[(r + 48) * 8 + lane] = s6[r];
    results[(r + 56) * 8 + lane] = s7[r];
  }
  if (n >= cols) {
    return;
  }
  let panel = select(cols, 16, cols % 16 == 0);
  let at = (group.z * (cols / panel) + n / panel) * params.inner * panel + n % panel;
  let stop = min(begin + ROWS, params.inner);
  for (var k = begin; k < stop; k++) {
    let to = at + k * panel;
    let sum = results[(k - begin) * 8 + lane];
    dw[to] = select(sum, dw[to] + sum, params.add == 1);
  }
  if (begin == 0) {
    let to = e * cols + n;
    db[to] = select(bias, db[to] + bias, params.add == 1);
  }
}
