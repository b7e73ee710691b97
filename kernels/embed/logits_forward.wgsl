// Any shape: one thread an element of y.

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> wte: array<u32>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, V]
@group(0) @binding(3) var<uniform> params: Params;

fn weight(i: u32) -> f32 {
  if (WTE_TYPE == 0) {
    return bitcast<f32>(wte[i]);
  }
  let word = wte[i / 2];
  let bits = select(word & 0xffff, word >> 16, (i & 1) == 1);
  if (WTE_TYPE == 1) {
    return unpack2x16float(bits).x;
  }
  return bitcast<f32>(bits << 16);
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
    sum += x[t * params.width + c] * weight(v * params.width + c);
  }
  y[t * params.vocabulary + params.first + v] = sum;
}
