// One workgroup a row: gate logits of 16 experts at a time, and a running best and softmax total.

struct Params {
  rows: u32,
  width: u32,
  experts: u32,
  at: u32,
}

override THREADS: u32 = 64; // at least GROUP
const GROUP = 16u;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> gate: array<f32>; // [E, C]
@group(0) @binding(2) var<storage, read_write> probs: array<f32>; // [T, E]
@group(0) @binding(3) var<storage, read_write> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(4) var<storage, read_write> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> sums: array<f32, THREADS * GROUP>;
var<workgroup> logits: array<f32, GROUP>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = group.x;
  if (t >= params.rows) {
    return;
  }
  var best = 0u;
  var top = -3.4e38;
  var total = 0.0;
  for (var first = 0u; first < params.experts; first += GROUP) {
    let count = min(GROUP, params.experts - first);
    for (var e = 0u; e < count; e++) {
      var sum = 0.0;
      for (var c = thread; c < params.width; c += THREADS) {
        sum += x[t * params.width + c] * gate[(first + e) * params.width + c];
      }
      sums[e * THREADS + thread] = sum;
    }
    workgroupBarrier();
    if (thread < count) {
      var logit = 0.0;
      for (var i = 0u; i < THREADS; i++) {
        logit += sums[thread * THREADS + i];
      }
      logits[thread] = logit;
      probs[t * params.experts + first + thread] = logit;
    }
    workgroupBarrier();
    for (var e = 0u; e < count; e++) {
      let logit = logits[e];
      if (logit > top) {
        total = total * exp(top - logit) + 1.0;
        top = logit;
        best = first + e;
      } else {
        total += exp(logit - top);
      }
    }
  }
  // Each thread makes probabilities of the logits that it wrote.
  if (thread < GROUP) {
    for (var e = thread; e < params.experts; e += GROUP) {
      let i = t * params.experts + e;
      probs[i] = exp(probs[i] - top) / total;
    }
  }
  if (thread == 0) {
    expert[params.at + t] = best;
    prob[params.at + t] = 1.0 / total;
  }
}
