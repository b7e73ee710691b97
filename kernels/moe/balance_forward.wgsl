// One workgroup an expert.

struct Params {
  rows: u32,
  experts: u32,
  at: u32,
  to: u32,
}

override THREADS: u32 = 64;

@group(0) @binding(0) var<storage, read> probs: array<f32>; // [T, E]
@group(0) @binding(1) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<storage, read_write> balance: array<f32>; // [MoE layers, 2, E]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> sums: array<f32, THREADS>;
var<workgroup> counts: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let e = group.x;
  var sum = 0.0;
  var count = 0u;
  for (var t = thread; t < params.rows; t += THREADS) {
    sum += probs[t * params.experts + e];
    count += select(0u, 1u, expert[params.at + t] == e);
  }
  sums[thread] = sum;
  counts[thread] = count;
  workgroupBarrier();
  if (thread == 0) {
    for (var i = 1u; i < THREADS; i++) {
      sum += sums[i];
      count += counts[i];
    }
    balance[params.to + e] = sum / f32(params.rows);
    balance[params.to + params.experts + e] = f32(count) / f32(params.rows);
  }
}
