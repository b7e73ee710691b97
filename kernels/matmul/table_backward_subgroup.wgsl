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

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [N part, C]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;

// Adds four rows, the values of a, times a lane's four columns.
fn products(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: vec4f, columns: vec4f) {
  sums[row] += a.x * columns;
  sums[row + 1] += a.y * columns;
  sums[row + 2] += a.z * columns;
  sums[row + 3] += a.w * columns;
}

// Adds 32 rows, the lanes' values of a.
fn half(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: vec4f, columns: vec4f) {
  products(sums, row, subgroupBroadcast(a, 0), columns);
  products(sums, row + 4, subgroupBroadcast(a, 1), columns);
  products(sums, row + 8, subgroupBroadcast(a, 2), columns);
  products(sums, row + 12, subgroupBroadcast(a, 3), columns);
  products(sums, row + 16, subgroupBroadcast(a, 4), columns);
  products(sums, row + 20, subgroupBroadcast(a, 5), columns);
  products(sums, row + 24, subgroupBroadcast(a, 6), columns);
  products(sums, row + 28, subgroupBroadcast(a, 7), columns);
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
  if (begin >= params.count) {
    return;
  }
  let width = params.width / 4;
  let c = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(c, width - 1);
  let quads = params.cols / 4;
  let last = (params.count - 1) / 4;
  let low_quad = params.first / 4 + min(begin / 4 + lane, last);
  let high_quad = params.first / 4 + min(begin / 4 + lane + 8, last);
  var sums: array<vec4f, ROWS>;
  for (var t = 0u; t < params.rows; t++) {
    let columns = x[(params.at + t) * width + column];
    half(&sums, 0, dy[t * quads + low_quad], columns);
    half(&sums, 32, dy[t * quads + high_quad], columns);
  }
  if (c >= width) {
    return;
  }
  let stop = min(begin + ROWS, params.count);
  for (var r = begin; r < stop; r++) {
    let i = r * width + c;
    let sum = pick(&sums, r - begin);
    dw[i] = select(sum, dw[i] + sum, params.add == 1);
  }
}
