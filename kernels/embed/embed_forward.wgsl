// One thread an element of x; weights of 16 bits are halves of u32 words.

struct Params {
  rows: u32,
  width: u32,
  first: u32,
  count: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16
override WPE_TYPE: u32 = 0;

@group(0) @binding(0) var<storage, read> token: array<u32>; // [T]
@group(0) @binding(1) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> wte: array<u32>; // [V part, C]
@group(0) @binding(3) var<storage, read> wpe: array<u32>; // [P, C]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // [T, C]
@group(0) @binding(5) var<uniform> params: Params;

fn half(word: u32, i: u32, bf16: bool) -> f32 {
  let bits = select(word & 0xffff, word >> 16, (i & 1) == 1);
  if (bf16) {
    return bitcast<f32>(bits << 16);
  }
  return unpack2x16float(bits).x;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let t = id.y;
  if (c >= params.width || t >= params.rows) {
    return;
  }
  // Tokens below `first` wrap around to large numbers.
  let row = token[t] - params.first;
  if (row >= params.count) {
    return;
  }
  let i = row * params.width + c;
  let j = pos[t] * params.width + c;
  var sum: f32;
  if (WTE_TYPE == 0) {
    sum = bitcast<f32>(wte[i]);
  } else {
    sum = half(wte[i / 2], i, WTE_TYPE == 2);
  }
  if (WPE_TYPE == 0) {
    sum += bitcast<f32>(wpe[j]);
  } else {
    sum += half(wpe[j / 2], j, WPE_TYPE == 2);
  }
  x[t * params.width + c] = sum;
}
