// 64 × 32 of dx a subgroup of 8: by broadcasts, 8 values of dy and 4 of w that a lane loads make 256 products.
// For CPU adapters, where a load costs as much as dozens of products and workgroup memory saves nothing.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  scatter: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // [T, N], in order
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> w: array<vec4u>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>; // [T, K]
@group(0) @binding(5) var<uniform> params: Params;

const ROWS = 64u;

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
  let found = tile(group.y);
  if (found.y == 0xffffffff) {
    return;
  }
  let begin = found.y;
  let end = start[found.x + 1];
  let inner = params.inner / 4;
  let k = group.x * 8 + lane;
  let quads = params.cols / 4;
  let panel = select(quads, 16, quads % 16 == 0);
  // Lanes and rows beyond the last repeat it, and do not store.
  let from_w = (found.x - params.first) * params.inner * quads + min(k, inner - 1) * 4 * panel;
  let last = end - 1;
  let r0 = min(begin + lane, last) * quads;
  let r1 = min(begin + lane + 8, last) * quads;
  let r2 = min(begin + lane + 16, last) * quads;
  let r3 = min(begin + lane + 24, last) * quads;
  let r4 = min(begin + lane + 32, last) * quads;
  let r5 = min(begin + lane + 40, last) * quads;
  let r6 = min(begin + lane + 48, last) * quads;
  let r7 = min(begin + lane + 56, last) * quads;
  var s0: array<vec4f, 8>;
  var s1: array<vec4f, 8>;
  var s2: array<vec4f, 8>;
  var s3: array<vec4f, 8>;
  var s4: array<vec4f, 8>;
  var s5: array<vec4f, 8>;
  var s6: array<vec4f, 8>;
  var s7: array<vec4f, 8>;
  for (var n = 0u; n < quads; n++) {
    let at = from_w + n / panel * panel * params.inner + n % panel;
    let w0 = weights(at);
    let w1 = weights(at + panel);
    let w2 = weights(at + 2 * panel);
    let w3 = weights(at + 3 * panel);
    let a0 = dy[r0 + n];
    let a1 = dy[r1 + n];
    let a2 = dy[r2 + n];
    let a3 = dy[r3 + n];
    let a4 = dy[r4 + n];
    let a5 = dy[r5 + n];
    let a6 = dy[r6 + n];
    let a7 = dy[r7 + n];
    for (var c = 0u; c < 4; c++) {
      let columns = vec4f(w0[c], w1[c], w2[c], w3[c]);
      products(&s0, a0[c], columns);
      products(&s1, a1[c], columns);
      products(&s2, a2[c], columns);
      products(&s3, a3[c], columns);
      products(&s4, a4[c], columns);
      products(&s5, a5[c], columns);
      products(&s6, a6[c], columns);
      products(&s7, a7[c], columns);
    }
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
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop && k < inner; i++) {
    let sum = results[(i - begin) * 8 + lane];
    if (params.scatter == 1) {
      dx[order[i] * inner + k] += sum;
    } else {
      dx[i * inner + k] = sum;
    }
  }
}
