// Any shape: one thread an element of dw, or of db, which is row K.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K]
@group(0) @binding(1) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(2) var<storage, read_write> dw: array<f32>; // [K, N] in panels
@group(0) @binding(3) var<storage, read_write> db: array<f32>; // [N]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let k = id.y;
  if (n >= params.cols || k > params.inner) {
    return;
  }
  var sum = 0.0;
  if (k == params.inner) {
    for (var t = 0u; t < params.rows; t++) {
      sum += dy[t * params.cols + n];
    }
    db[n] = select(sum, db[n] + sum, params.add == 1);
    return;
  }
  for (var t = 0u; t < params.rows; t++) {
    sum += x[t * params.inner + k] * dy[t * params.cols + n];
  }
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let i = (n / panel) * params.inner * panel + k * panel + n % panel;
  dw[i] = select(sum, dw[i] + sum, params.add == 1);
}
