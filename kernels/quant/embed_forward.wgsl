// One thread an element of x; positions of 16 bits are halves of u32 words.

struct Params {
  rows: u32,
  width: u32,
  first: u32,
  count: u32,
  bits: u32,
  group: u32,
}

override WPE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> token: array<u32>; // [T]
@group(0) @binding(1) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> wte: array<u32>; // [panels, blocks, words]
@group(0) @binding(3) var<storage, read> wpe: array<u32>; // [P, C]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // [T, C]
@group(0) @binding(5) var<uniform> params: Params;

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

fn position(i: u32) -> f32 {
  if (WPE_TYPE == 0) {
    return bitcast<f32>(wpe[i]);
  }
  let word = wpe[i / 2];
  let bits = select(word & 0xffff, word >> 16, (i & 1) == 1);
  if (WPE_TYPE == 1) {
    return unpack2x16float(bits).x;
  }
  return bitcast<f32>(bits << 16);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let t = id.y;
  if (c >= params.width || t >= params.rows) {
    return;
  }
  // Tokens below `first` wrap around to large numbers.
  let v = token[t] - params.first;
  if (v >= params.count) {
    return;
  }
  x[t * params.width + c] = weight(c, v) + position(pos[t] * params.width + c);
}
