// Any shape: one thread an element of dw.

struct Params {
  rows: u32,
  width: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(2) var<storage, read_write> dw: array<f32>; // [N part, C]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let c = id.y;
  if (c >= params.width || i >= params.count) {
    return;
  }
  var sum = 0.0;
  for (var t = 0u; t < params.rows; t++) {
    sum += dy[t * params.cols + params.first + i] * x[(params.at + t) * params.width + c];
  }
  let to = i * params.width + c;
  dw[to] = select(sum, dw[to] + sum, params.add == 1);
}
