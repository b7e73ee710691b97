// Any shape: one thread an element of dw, or of db, which is row K.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, K], in order
@group(0) @binding(1) var<storage, read> dy: array<f32>; // [T, N], in order
@group(0) @binding(2) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<storage, read_write> dw: array<f32>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read_write> db: array<f32>; // [E, N]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let k = id.y;
  if (n >= params.cols || k > params.inner || id.z >= params.count) {
    return;
  }
  let e = params.first + id.z;
  let begin = start[e];
  let end = start[e + 1];
  var sum = 0.0;
  if (k == params.inner) {
    for (var i = begin; i < end; i++) {
      sum += dy[i * params.cols + n];
    }
    let to = e * params.cols + n;
    db[to] = select(sum, db[to] + sum, params.add == 1);
    return;
  }
  for (var i = begin; i < end; i++) {
    sum += x[i * params.inner + k] * dy[i * params.cols + n];
  }
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let to = (id.z * params.cols + (n / panel) * panel) * params.inner + k * panel + n % panel;
  dw[to] = select(sum, dw[to] + sum, params.add == 1);
}
