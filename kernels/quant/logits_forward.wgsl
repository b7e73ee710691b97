// Any shape: one thread an element of y.

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
  bits: u32,
  group: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> wte: array<u32>; // [panels, blocks, words]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, V]
@group(0) @binding(3) var<uniform> params: Params;

// Weight [c][v] of the matrix [width, ..].
fn weight(c: u32, v: u32) -> f32 {
  let blocks = (params.width + params.group - 1) / params.group;
  let block = (v / 16 * blocks + c / params.group) * (16 + params.group * params.bits / 2);
  let column = v % 16;
  let row = c % params.group;
  let scale = unpack2x16float(wte[block + column / 2])[column % 2];
  let minimum = unpack2x16float(wte[block + 8 + column / 2])[column % 2];
  let word = wte[block + 16 + row * params.bits / 32 * 16 + column];
  let shift = 8 * (row & 3) + select(0, row & 4, params.bits == 4);
  return scale * f32(extractBits(word, shift, params.bits)) + minimum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let v = id.x;
  let t = id.y;
  if (v >= params.count || t >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var c = 0u; c < params.width; c++) {
    sum += x[t * params.width + c] * weight(c, v);
  }
  y[t * params.vocabulary + params.first + v] = sum;
}
