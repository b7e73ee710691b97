// Any shape: one thread an element of y.

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

@group(0) @binding(0) var<storage, read> h: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(4) var<storage, read> w: array<u32>; // [E part, panels, blocks, words]
@group(0) @binding(5) var<storage, read> b: array<f32>; // [E, N]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, N]
@group(0) @binding(7) var<uniform> params: Params;

// Weight [k][n] of the matrix [inner, ..] whose words begin at `at`.
fn weight(at: u32, k: u32, n: u32) -> f32 {
  let blocks = (params.inner + params.group - 1) / params.group;
  let block = at + (n / 16 * blocks + k / params.group) * (16 + params.group * params.bits / 2);
  let column = n % 16;
  let row = k % params.group;
  let scale = unpack2x16float(w[block + column / 2])[column % 2];
  let minimum = unpack2x16float(w[block + 8 + column / 2])[column % 2];
  let word = w[block + 16 + row * params.bits / 32 * 16 + column];
  let shift = 8 * (row & 3) + select(0, row & 4, params.bits == 4);
  return scale * f32(extractBits(word, shift, params.bits)) + minimum;
}

// Words of an expert's matrix.
fn size() -> u32 {
  let blocks = (params.cols + 15) / 16 * ((params.inner + params.group - 1) / params.group);
  return blocks * (16 + params.group * params.bits / 2);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let i = id.y;
  if (n >= params.cols || i >= params.rows || i < start[params.first] || i >= start[params.first + params.count]) {
    return;
  }
  var e = params.first;
  while (i >= start[e + 1]) {
    e++;
  }
  let at = (e - params.first) * size();
  let t = order[i];
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    sum += h[i * params.inner + k] * weight(at, k, n);
  }
  y[t * params.cols + n] += prob[params.at + t] * (sum + b[e * params.cols + n]);
}
