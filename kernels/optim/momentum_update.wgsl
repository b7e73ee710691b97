// An element a thread: 64 columns of a row of one matrix a workgroup.

struct Params {
  count: u32,
  inner: u32,
  cols: u32,
  beta: f32,
  clip: f32,
}

@group(0) @binding(0) var<storage, read_write> g: array<f32>; // [E, K, N] in panels
@group(0) @binding(1) var<storage, read_write> m: array<f32>; // [E, K, N] in panels
@group(0) @binding(2) var<storage, read_write> x: array<f32>; // [E, max(K, N), min(K, N)]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x * 64 + thread;
  let k = group.y;
  let cols = params.cols;
  if (n >= cols || k >= params.inner) {
    return;
  }
  let panel = select(cols, 64, cols % 64 == 0);
  let matrix = group.z * params.inner * cols;
  let i = matrix + ((n / panel) * params.inner + k) * panel + n % panel;
  let slope = (1 - params.beta) * params.clip * g[i];
  let mean = params.beta * m[i] + slope;
  m[i] = mean;
  let at = select(k * cols + n, n * params.inner + k, cols >= params.inner);
  x[matrix + at] = params.beta * mean + slope;
}
