// Any shape: one thread an element.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  scatter: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N], in order
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> w: array<u32>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read_write> dx: array<f32>; // [T, K]
@group(0) @binding(5) var<uniform> params: Params;

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
  let k = id.x;
  let i = id.y;
  if (k >= params.inner || i >= params.rows || i < start[params.first] || i >= start[params.first + params.count]) {
    return;
  }
  var e = params.first;
  while (i >= start[e + 1]) {
    e++;
  }
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let matrix = (e - params.first) * params.inner * params.cols;
  var sum = 0.0;
  for (var n = 0u; n < params.cols; n += panel) {
    let from_dy = i * params.cols + n;
    let from_w = matrix + n * params.inner + k * panel;
    for (var j = 0u; j < panel; j++) {
      sum += dy[from_dy + j] * weight(from_w + j);
    }
  }
  if (params.scatter == 1) {
    dx[order[i] * params.inner + k] += sum;
  } else {
    dx[i * params.inner + k] = sum;
  }
}
