// One thread an element of y.

struct Params {
  rows: u32,
  width: u32,
  experts: u32,
  at: u32,
  scaled: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [T, C]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let i = id.y;
  if (c >= params.width || i >= start[params.experts]) {
    return;
  }
  let t = order[i];
  y[i * params.width + c] = x[t * params.width + c] * select(1.0, prob[params.at + t], params.scaled == 1);
}
