// One thread an element of dwpe.

struct Params {
  rows: u32,
  width: u32,
  time: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> dx: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read_write> dwpe: array<f32>; // [P, C]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let p = id.y;
  if (c >= params.width || p >= params.time) {
    return;
  }
  let to = p * params.width + c;
  var sum = select(0.0, dwpe[to], params.add == 1);
  for (var t = p; t < params.rows; t += params.time) {
    sum += dx[t * params.width + c];
  }
  dwpe[to] = sum;
}
