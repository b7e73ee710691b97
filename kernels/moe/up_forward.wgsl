// Any shape: one thread an element.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  gelu: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> w: array<u32>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read> b: array<f32>; // [E, N]
@group(0) @binding(5) var<storage, read_write> h: array<f32>; // [T, N]
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

fn activate(x: f32) -> f32 {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let u = clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), -10.0, 10.0);
  return select(x, 0.5 * x * (1 + tanh(u)), params.gelu == 1);
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
  let t = order[i];
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let at = ((e - params.first) * (params.cols / panel) + n / panel) * params.inner * panel + n % panel;
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    sum += x[t * params.inner + k] * weight(at + k * panel);
  }
  h[i * params.cols + n] = activate(sum + b[e * params.cols + n]);
}
