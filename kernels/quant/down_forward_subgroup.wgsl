// Eight rows by 4 × 8 columns a subgroup of 8: a load of h serves 8 values of k by broadcasts. For CPU adapters.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  bits: u32,
  group: u32,
}

override BITS: u32 = 8;
override GROUP: u32 = 64;
override BLOCK: u32 = 4 + GROUP * BITS / 8; // vec4 of a block: 2 of scales, 2 of minimums, then lines of 4

@group(0) @binding(0) var<storage, read> h: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(4) var<storage, read> w: array<vec4u>; // [E part, panels, blocks, lines]
@group(0) @binding(5) var<storage, read> b: array<vec4f>; // [E, N]
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(7) var<uniform> params: Params;

const ROWS = 8u;

var<workgroup> results: array<vec4f, ROWS * 8>;

// Four of the halves that begin at vec4 i of w, those of vec4 column n of the panel.
fn halves(i: u32, n: u32) -> vec4f {
  let words = w[i + n / 2];
  let pair = select(words.xy, words.zw, (n & 1) == 1);
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// Four rows of w, whose codes are the bytes of the four columns' words.
fn weights(words: vec4u, scale: vec4f, minimum: vec4f) -> mat4x4f {
  return transpose(mat4x4f(
    scale.x * vec4f(unpack4xU8(words.x)) + minimum.x,
    scale.y * vec4f(unpack4xU8(words.y)) + minimum.y,
    scale.z * vec4f(unpack4xU8(words.z)) + minimum.z,
    scale.w * vec4f(unpack4xU8(words.w)) + minimum.w,
  ));
}

fn store(e: u32, i: u32, n: u32, product: vec4f) {
  let t = order[i];
  y[t * (params.cols / 4) + n] += prob[params.at + t] * (product + b[e * (params.cols / 4) + n]);
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

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let found = tile(group.y);
  if (found.y == 0xffffffff) {
    return;
  }
  let e = found.x;
  let begin = found.y;
  let end = start[e + 1];
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  let panel = (e - params.first) * ((params.cols + 15) / 16) + column / 4;
  var block = panel * ((params.inner + GROUP - 1) / GROUP) * BLOCK;
  var rows: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    rows[r] = min(begin + r, end - 1) * params.inner + lane;
  }
  var sums: array<vec4f, ROWS>;
  for (var first = 0u; first < params.inner; first += GROUP) {
    let scale = halves(block, column % 4);
    let minimum = halves(block + 2, column % 4);
    var line = block + 4 + column % 4;
    for (var k = first; k < min(first + GROUP, params.inner); k += 8) {
      var low = w[line];
      var high = low >> vec4u(4);
      if (BITS == 8) {
        high = w[line + 4];
      } else {
        low &= vec4u(0x0f0f0f0f);
        high &= vec4u(0x0f0f0f0f);
      }
      line += BITS;
      let w0 = weights(low, scale, minimum);
      let w4 = weights(high, scale, minimum);
      for (var r = 0u; r < ROWS; r++) {
        let a = h[rows[r] + k];
        sums[r] += subgroupBroadcast(a, 0) * w0[0] + subgroupBroadcast(a, 1) * w0[1];
        sums[r] += subgroupBroadcast(a, 2) * w0[2] + subgroupBroadcast(a, 3) * w0[3];
        sums[r] += subgroupBroadcast(a, 4) * w4[0] + subgroupBroadcast(a, 5) * w4[1];
        sums[r] += subgroupBroadcast(a, 6) * w4[2] + subgroupBroadcast(a, 7) * w4[3];
      }
    }
    block += BLOCK;
  }
  // By way of workgroup memory, so that this loop is not unrolled: it would take long to compile.
  for (var r = 0u; r < ROWS; r++) {
    results[r * 8 + lane] = sums[r];
  }
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop && n < cols; i++) {
    store(e, i, n, results[(i - begin) * 8 + lane]);
  }
}
