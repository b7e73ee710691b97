// 64 × 32 of dw a subgroup of 8: by broadcasts, 8 values of dy and 4 of x that a lane loads make 256 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  width: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [N part, C]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;

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
  if (begin >= params.count) {
    return;
  }
  let width = params.width / 4;
  let c = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(c, width - 1);
  let last = params.count - 1;
  let r0 = min(begin + lane, last);
  let r1 = min(begin + lane + 8, last);
  let r2 = min(begin + lane + 16, last);
  let r3 = min(begin + lane + 24, last);
  let r4 = min(begin + lane + 32, last);
  let r5 = min(begin + lane + 40, last);
  let r6 = min(begin + lane + 48, last);
  let r7 = min(begin + lane + 56, last);
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  var s4: array<vec4f, 8>;
  var s5: array<vec4f, 8>;
  var s6: array<vec4f, 8>;
  var s7: array<vec4f, 8>;
  for (var t = 0u; t < params.rows; t++) {
    let from_dy = t * params.cols + params.first;
    let columns = x[(params.at + t) * width + column];
    products(&s0, dy[from_dy + r0], columns);
    products(&s1, dy[from_dy + r1], columns);
    products(&s2, dy[from_dy + r2], columns);
    products(&s3, dy[from_dy + r3], columns);
    products(&s4, dy[from_dy + r4], columns);
    products(&s5, dy[from_dy + r5], columns);
    products(&s6, dy[from_dy + r6], columns);
    products(&s7, dy[from_dy + r7], columns);
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
  if (c >= width) {
    return;
  }
  let stop = min(begin + ROWS, params.count);
  for (var r = begin; r < stop; r++) {
    let i = r * width + c;
    let sum = results[(r - begin) * 8 + lane];
    dw[i] = select(sum, dw[i] + sum, params.add == 1);
  }
}
