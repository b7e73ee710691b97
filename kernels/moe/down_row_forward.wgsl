// Any shape: one thread an element.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> h: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(3) var<storage, read> w: array<u32>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read> b: array<f32>; // [E, N]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, N]
@group(0) @binding(6) var<uniform> params: Params;

fn weight(i: u32) -> f32 {
  if (W_TYPE == 0) {
    return bitcast<f32>(w[i]);
  }
  let word = w[i / 2];
  let bits = select(word & 0xffff, word >> 16, (i & 1) == 1);
  if (W_TYPE == 1) {
    return unpack2x16float(bits).x;
  }
  return bitcast<f32>(bits << 16);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let t = id.y;
  if (n >= params.cols || t >= params.rows) {
    return;
  }
  // Experts below `first` wrap around to large numbers.
  let e = expert[params.at + t] - params.first;
  if (e >= params.count) {
    return;
  }
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let at = (e * (params.cols / panel) + n / panel) * params.inner * panel + n % panel;
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    sum += h[t * params.inner + k] * weight(at + k * panel);
  }
  y[t * params.cols + n] += prob[params.at + t] * (sum + b[(params.first + e) * params.cols + n]);
}
