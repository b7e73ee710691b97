// Any shape: one thread an element of dx.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(1) var<storage, read> w: array<u32>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> u: array<f32>; // [T, K], read if gelu
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [T, K]
@group(0) @binding(4) var<uniform> params: Params;

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

// Derivative of gelu.
fn slope(x: f32) -> f32 {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let t = tanh(clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), -10.0, 10.0));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + 0.134145 * x * x);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let k = id.x;
  let t = id.y;
  if (k >= params.inner || t >= params.rows) {
    return;
  }
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  var sum = 0.0;
  for (var n = 0u; n < params.cols; n += panel) {
    let from_dy = t * params.cols + n;
    let from_w = n * params.inner + k * panel;
    for (var j = 0u; j < panel; j++) {
      sum += dy[from_dy + j] * weight(from_w + j);
    }
  }
  let i = t * params.inner + k;
  if (params.add == 1) {
    sum += dx[i];
  }
  if (params.gelu == 1) {
    sum *= slope(u[i]);
  }
  dx[i] = sum;
}
