// 16 rows by 4 × 8 columns of dw a subgroup of 8: two loads of x serve 8 rows of dy by broadcasts. For CPU adapters,
// where each load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [K, N] in panels
@group(0) @binding(3) var<storage, read_write> db: array<vec4f>; // [N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 16u;

var<workgroup> results: array<vec4f, ROWS * 8>;

fn accumulate(sums: ptr<function, array<vec4f, ROWS>>, a: vec4f, b: vec4f, c: vec4f, d: vec4f, g: vec4f) {
  sums[0] += a.x * g;
  sums[1] += a.y * g;
  sums[2] += a.z * g;
  sums[3] += a.w * g;
  sums[4] += b.x * g;
  sums[5] += b.y * g;
  sums[6] += b.z * g;
  sums[7] += b.w * g;
  sums[8] += c.x * g;
  sums[9] += c.y * g;
  sums[10] += c.z * g;
  sums[11] += c.w * g;
  sums[12] += d.x * g;
  sums[13] += d.y * g;
  sums[14] += d.z * g;
  sums[15] += d.w * g;
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  if (begin >= params.inner) {
    return;
  }
  let quads = params.inner / 4;
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  let q0 = begin / 4;
  let q1 = min(q0 + 1, quads - 1);
  let q2 = min(q0 + 2, quads - 1);
  let q3 = min(q0 + 3, quads - 1);
  let last = params.rows - 1;
  var bias = vec4f();
  var sums: array<vec4f, ROWS>;
  for (var t = 0u; t < params.rows; t += 8) {
    let row = min(t + lane, last) * quads;
    let scale = select(0.0, 1.0, t + lane <= last);
    let a = scale * x[row + q0];
    let b = scale * x[row + q1];
    let c = scale * x[row + q2];
    let d = scale * x[row + q3];
    let g0 = dy[t * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 0), subgroupBroadcast(b, 0), subgroupBroadcast(c, 0), subgroupBroadcast(d, 0), g0);
    let g1 = dy[min(t + 1, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 1), subgroupBroadcast(b, 1), subgroupBroadcast(c, 1), subgroupBroadcast(d, 1), g1);
    let g2 = dy[min(t + 2, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 2), subgroupBroadcast(b, 2), subgroupBroadcast(c, 2), subgroupBroadcast(d, 2), g2);
    let g3 = dy[min(t + 3, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 3), subgroupBroadcast(b, 3), subgroupBroadcast(c, 3), subgroupBroadcast(d, 3), g3);
    let g4 = dy[min(t + 4, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 4), subgroupBroadcast(b, 4), subgroupBroadcast(c, 4), subgroupBroadcast(d, 4), g4);
    let g5 = dy[min(t + 5, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 5), subgroupBroadcast(b, 5), subgroupBroadcast(c, 5), subgroupBroadcast(d, 5), g5);
    let g6 = dy[min(t + 6, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 6), subgroupBroadcast(b, 6), subgroupBroadcast(c, 6), subgroupBroadcast(d, 6), g6);
    let g7 = dy[min(t + 7, last) * cols + column];
    accumulate(&sums, subgroupBroadcast(a, 7), subgroupBroadcast(b, 7), subgroupBroadcast(c, 7), subgroupBroadcast(d, 7), g7);
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < ROWS; r++) {
    results[r * 8 + lane] = sums[r];
  }
  if (n >= cols) {
    return;
  }
  let panel = select(cols, 16, cols % 16 == 0);
  let stop = min(begin + ROWS, params.inner);
  for (var k = begin; k < stop; k++) {
    let i = (n / panel) * params.inner * panel + k * panel + n % panel;
    let sum = results[(k - begin) * 8 + lane];
    dw[i] = select(sum, dw[i] + sum, params.add == 1);
  }
}
