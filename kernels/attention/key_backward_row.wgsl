// One workgroup a row and head, as key and value: what THREADS queries at a time ask of them.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  time: u32,
  scale: f32,
}

override THREADS: u32 = 64;
override HEAD_SIZE: u32 = 64;

@group(0) @binding(0) var<storage, read> qkv: array<f32>; // [T, 3C]
@group(0) @binding(1) var<storage, read> dy: array<f32>; // [T, C]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [T, H, 2]
@group(0) @binding(3) var<storage, read_write> dqkv: array<f32>; // [T, 3C]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> dk: array<f32, HEAD_SIZE>;
var<workgroup> dv: array<f32, HEAD_SIZE>;
var<workgroup> changes: array<f32, THREADS>;
var<workgroup> probabilities: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let h = group.x;
  let s = group.y;
  if (s >= params.rows) {
    return;
  }
  let width = params.heads * HEAD_SIZE;
  let key = s * 3 * width + width + h * HEAD_SIZE;
  let end = s - s % params.time + params.time;
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    dk[d] = 0;
    dv[d] = 0;
  }
  for (var tile = s; tile < end; tile += THREADS) {
    let t = tile + thread;
    var probability = 0.0;
    var change = 0.0;
    if (t < end) {
      var score = 0.0;
      var slope = 0.0;
      for (var d = 0u; d < HEAD_SIZE; d++) {
        score += qkv[t * 3 * width + h * HEAD_SIZE + d] * qkv[key + d];
        slope += dy[t * width + h * HEAD_SIZE + d] * qkv[key + width + d];
      }
      let stat = 2 * (t * params.heads + h);
      probability = exp(score * params.scale - stats[stat]);
      change = probability * (slope - stats[stat + 1]) * params.scale;
    }
    workgroupBarrier();
    probabilities[thread] = probability;
    changes[thread] = change;
    workgroupBarrier();
    for (var d = thread; d < HEAD_SIZE; d += THREADS) {
      for (var i = 0u; i < min(THREADS, end - tile); i++) {
        dk[d] += changes[i] * qkv[(tile + i) * 3 * width + h * HEAD_SIZE + d];
        dv[d] += probabilities[i] * dy[(tile + i) * width + h * HEAD_SIZE + d];
      }
    }
  }
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    dqkv[key + d] = dk[d];
    dqkv[key + width + d] = dv[d];
  }
}
