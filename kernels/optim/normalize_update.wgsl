// A matrix a workgroup: squares by threads, then by a tree; then every element is divided.

struct Params {
  count: u32,
  size: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [E, n]
@group(0) @binding(1) var<uniform> params: Params;

const THREADS = 256u;

var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.x * params.size;
  var sum = 0.0;
  for (var i = thread; i < params.size; i += THREADS) {
    let v = x[begin + i];
    sum += v * v;
  }
  squares[thread] = sum;
  workgroupBarrier();
  for (var half = THREADS / 2; half > 0; half /= 2) {
    if (thread < half) {
      squares[thread] += squares[thread + half];
    }
    workgroupBarrier();
  }
  let by = 1 / (sqrt(squares[0]) + 1e-7);
  for (var i = thread; i < params.size; i += THREADS) {
    x[begin + i] *= by;
  }
}
