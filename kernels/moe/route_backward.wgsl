// One workgroup a row: through the softmax, then the gate's rows weighed by the logits' gradients.

struct Params {
  rows: u32,
  width: u32,
  experts: u32,
  at: u32,
  to: u32,
  aux: f32,
}

override THREADS: u32 = 64;

@group(0) @binding(0) var<storage, read> probs: array<f32>; // [T, E]
@group(0) @binding(1) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<storage, read> dprob: array<f32>; // [T]
@group(0) @binding(3) var<storage, read> balance: array<f32>; // [MoE layers, 2, E]
@group(0) @binding(4) var<storage, read> gate: array<f32>; // [E, C]
@group(0) @binding(5) var<storage, read_write> dz: array<f32>; // [T, E]
@group(0) @binding(6) var<storage, read_write> dx: array<f32>; // [T, C]
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> parts: array<f32, THREADS>;

// What the loss asks of probability e of row t.
fn slope(t: u32, e: u32) -> f32 {
  return params.aux * balance[params.to + params.experts + e] +
    select(0.0, dprob[t], expert[params.at + t] == e);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = group.x;
  if (t >= params.rows) {
    return;
  }
  let row = t * params.experts;
  var sum = 0.0;
  for (var e = thread; e < params.experts; e += THREADS) {
    sum += probs[row + e] * slope(t, e);
  }
  parts[thread] = sum;
  workgroupBarrier();
  var mean = 0.0;
  for (var i = 0u; i < THREADS; i++) {
    mean += parts[i];
  }
  for (var e = thread; e < params.experts; e += THREADS) {
    dz[row + e] = probs[row + e] * (slope(t, e) - mean);
  }
  storageBarrier();
  for (var c = thread; c < params.width; c += THREADS) {
    var total = 0.0;
    for (var e = 0u; e < params.experts; e++) {
      total += dz[row + e] * gate[e * params.width + c];
    }
    dx[t * params.width + c] = total;
  }
}
