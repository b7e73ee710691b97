// One workgroup a row, in order.

struct Params {
  rows: u32,
  inner: u32,
  width: u32,
  experts: u32,
  at: u32,
}

override THREADS: u32 = 64;
const SCALE = 0.7978845608; // √(2/π)

@group(0) @binding(0) var<storage, read> u: array<f32>; // [T, F]
@group(0) @binding(1) var<storage, read> dy: array<f32>; // [T, C]
@group(0) @binding(2) var<storage, read> b: array<f32>; // [E, C]
@group(0) @binding(3) var<storage, read> order: array<u32>; // [T]
@group(0) @binding(4) var<storage, read> start: array<u32>; // [E + 1]
@group(0) @binding(5) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(6) var<storage, read_write> g: array<f32>; // [T, F]
@group(0) @binding(7) var<storage, read_write> dprob: array<f32>; // [T]
@group(0) @binding(8) var<uniform> params: Params;

var<workgroup> parts: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = group.x;
  if (i >= start[params.experts]) {
    return;
  }
  var e = 0u;
  while (i >= start[e + 1]) {
    e++;
  }
  var sum = 0.0;
  for (var f = thread; f < params.inner; f += THREADS) {
    let at = i * params.inner + f;
    let x = u[at];
    let slope = g[at];
    // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
    let bend = tanh(clamp(x * SCALE * (1 + 0.044715 * x * x), -10.0, 10.0));
    let half = 0.5 * (1 + bend);
    sum += x * half * slope;
    g[at] = slope * (half + 0.5 * x * (1 - bend * bend) * SCALE * (1 + 3 * 0.044715 * x * x));
  }
  for (var c = thread; c < params.width; c += THREADS) {
    sum += b[e * params.width + c] * dy[i * params.width + c];
  }
  parts[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    for (var j = 1u; j < THREADS; j++) {
      sum += parts[j];
    }
    dprob[order[i]] = sum / prob[params.at + order[i]];
  }
}
