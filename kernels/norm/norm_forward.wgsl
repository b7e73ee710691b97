// One workgroup a row. Two passes, since a one-pass variance loses its digits when the mean is large.

struct Params {
  rows: u32,
  width: u32,
  skip: u32,
  eps: f32,
}

override THREADS: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [skip + T, C]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [C]
@group(0) @binding(2) var<storage, read> bias: array<f32>; // [C]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [T, C]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> sums: array<f32, THREADS>;
var<workgroup> squares: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = group.x;
  if (t >= params.rows) {
    return;
  }
  let begin = (params.skip + t) * params.width;
  let n = f32(params.width);

  var sum = 0.0;
  for (var c = thread; c < params.width; c += THREADS) {
    sum += x[begin + c];
  }
  sums[thread] = sum;
  workgroupBarrier();
  var mean = 0.0;
  for (var i = 0u; i < THREADS; i++) {
    mean += sums[i];
  }
  mean /= n;

  var square = 0.0;
  for (var c = thread; c < params.width; c += THREADS) {
    let centred = x[begin + c] - mean;
    square += centred * centred;
  }
  squares[thread] = square;
  workgroupBarrier();
  var variance = 0.0;
  for (var i = 0u; i < THREADS; i++) {
    variance += squares[i];
  }
  let scale = 1.0 / sqrt(variance / n + params.eps);

  for (var c = thread; c < params.width; c += THREADS) {
    y[t * params.width + c] = (x[begin + c] - mean) * scale * weight[c] + bias[c];
  }
}
