// 64 × 32 of dx a subgroup of 8: by broadcasts, 8 values of dy and 4 of wte that a lane loads make 256 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
  at: u32,
  add: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, V]
@group(0) @binding(1) var<storage, read> wte: array<vec4u>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // [at + T, C]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;

var<workgroup> results: array<vec4f, ROWS * 8>;

// Elements 4 i … 4 i + 3 of wte.
fn weights(i: u32) -> vec4f {
  if (WTE_TYPE == 0) {
    return bitcast<vec4f>(wte[i]);
  }
  let pair = wte[i / 2];
  let words = select(pair.xy, pair.zw, (i & 1) == 1);
  if (WTE_TYPE == 1) {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  return bitcast<vec4f>(vec4u(words.x << 16, words.x & 0xffff0000, words.y << 16, words.y & 0xffff0000));
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
  let width = params.width / 4;
  let c = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(c, width - 1);
  let last = params.rows - 1;
  let r0 = min(begin + lane, last) * params.vocabulary + params.first;
  let r1 = min(begin + lane + 8, last) * params.vocabulary + params.first;
  let r2 = min(begin + lane + 16, last) * params.vocabulary + params.first;
  let r3 = min(begin + lane + 24, last) * params.vocabulary + params.first;
  let r4 = min(begin + lane + 32, last) * params.vocabulary + params.first;
  let r5 = min(begin + lane + 40, last) * params.vocabulary + params.first;
  let r6 = min(begin + lane + 48, last) * params.vocabulary + params.first;
  let r7 = min(begin + lane + 56, last) * params.vocabulary + params.first;
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  var s4: array<vec4f, 8>;
  var s5: array<vec4f, 8>;
  var s6: array<vec4f, 8>;
  var s7: array<vec4f, 8>;
  for (var v = 0u; v < params.count; v++) {
    let columns = weights(v * width + column);
    products(&s0, dy[r0 + v], columns);
    products(&s1, dy[r1 + v], columns);
    products(&s2, dy[r2 + v], columns);
    products(&s3, dy[r3 + v], columns);
    products(&s4, dy[r4 + v], columns);
    products(&s5, dy[r5 + v], columns);
    products(&s6, dy[r6 + v], columns);
    products(&s7, dy[r7 + v], columns);
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
  let stop = min(begin + ROWS, params.rows);
  for (var t = begin; t < stop; t++) {
    let i = (params.at + t) * width + c;
    let sum = results[(t - begin) * 8 + lane];
    dx[i] = select(sum, dx[i] + sum, params.add == 1);
  }
}
