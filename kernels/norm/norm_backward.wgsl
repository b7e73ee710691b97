// One workgroup a row: its mean and scale again, then the two means that the gradient is made orthogonal to.

struct Params {
  rows: u32,
  width: u32,
  add: u32,
  eps: f32,
}

override THREADS: u32 = 64;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [C]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [T, C]
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // [T, C]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>; // [T, 2]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> parts: array<vec2f, THREADS>;

// Mean over the row from each thread's sum.
fn mean(thread: u32, sum: vec2f) -> vec2f {
  workgroupBarrier();
  parts[thread] = sum;
  workgroupBarrier();
  var total = vec2f();
  for (var i = 0u; i < THREADS; i++) {
    total += parts[i];
  }
  return total / f32(params.width);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = group.x;
  if (t >= params.rows) {
    return;
  }
  let begin = t * params.width;
  var sum = 0.0;
  for (var c = thread; c < params.width; c += THREADS) {
    sum += x[begin + c];
  }
  let centre = mean(thread, vec2f(sum, 0)).x;

  var square = 0.0;
  for (var c = thread; c < params.width; c += THREADS) {
    let centred = x[begin + c] - centre;
    square += centred * centred;
  }
  let scale = 1.0 / sqrt(mean(thread, vec2f(square, 0)).x + params.eps);

  var sums = vec2f();
  for (var c = thread; c < params.width; c += THREADS) {
    sums += dy[begin + c] * weight[c] * vec2f(1, (x[begin + c] - centre) * scale);
  }
  let means = mean(thread, sums);

  for (var c = thread; c < params.width; c += THREADS) {
    var g = (dy[begin + c] * weight[c] - means.x - (x[begin + c] - centre) * scale * means.y) * scale;
    if (params.add == 1) {
      g += dx[begin + c];
    }
    dx[begin + c] = g;
  }
  if (thread == 0) {
    stats[2 * t] = centre;
    stats[2 * t + 1] = scale;
  }
}
