// Any shape: one thread an element of dx.

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
@group(0) @binding(1) var<storage, read> wte: array<u32>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> dx: array<f32>; // [at + T, C]
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
  let c = id.x;
  let t = id.y;
  if (c >= params.width || t >= params.rows) {
    return;
  }
  var sum = 0.0;
  for (var v = 0u; v < params.count; v++) {
    sum += dy[t * params.vocabulary + params.first + v] * weight(v * params.width + c);
  }
  let to = (params.at + t) * params.width + c;
  dx[to] = select(sum, dx[to] + sum, params.add == 1);
}
