// One workgroup a row and head: scores and slopes of THREADS keys at a time, softmax kept running.

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
@group(0) @binding(1) var<storage, read> y: array<f32>; // [T, C]
@group(0) @binding(2) var<storage, read> dy: array<f32>; // [T, C]
@group(0) @binding(3) var<storage, read_write> dqkv: array<f32>; // [T, 3C]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>; // [T, H, 2]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> mix: array<f32, HEAD_SIZE>;
var<workgroup> scores: array<f32, THREADS>;
var<workgroup> changes: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let h = group.x;
  let t = group.y;
  if (t >= params.rows) {
    return;
  }
  let width = params.heads * HEAD_SIZE;
  let query = t * 3 * width + h * HEAD_SIZE;
  let at = t * width + h * HEAD_SIZE;
  var delta = 0.0;
  for (var d = 0u; d < HEAD_SIZE; d++) {
    delta += dy[at + d] * y[at + d];
  }
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    mix[d] = 0;
  }
  var top = -3.4e38;
  var total = 0.0;
  for (var tile = t - t % params.time; tile <= t; tile += THREADS) {
    let s = tile + thread;
    var score = -3.4e38;
    var slope = 0.0;
    if (s <= t) {
      let key = s * 3 * width + width + h * HEAD_SIZE;
      score = 0;
      for (var d = 0u; d < HEAD_SIZE; d++) {
        score += qkv[query + d] * qkv[key + d];
        slope += dy[at + d] * qkv[key + width + d];
      }
      score *= params.scale;
    }
    workgroupBarrier();
    scores[thread] = score;
    workgroupBarrier();

    let before = top;
    let count = min(THREADS, t + 1 - tile);
    for (var i = 0u; i < count; i++) {
      top = max(top, scores[i]);
    }
    let shrink = exp(before - top);
    total *= shrink;
    for (var i = 0u; i < count; i++) {
      total += exp(scores[i] - top);
    }
    changes[thread] = exp(score - top) * (slope - delta);
    workgroupBarrier();

    for (var d = thread; d < HEAD_SIZE; d += THREADS) {
      var sum = 0.0;
      for (var i = 0u; i < count; i++) {
        sum += changes[i] * qkv[(tile + i) * 3 * width + width + h * HEAD_SIZE + d];
      }
      mix[d] = mix[d] * shrink + sum;
    }
  }
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    dqkv[query + d] = mix[d] * params.scale / total;
  }
  if (thread == 0) {
    stats[2 * (t * params.heads + h)] = top + log(total);
    stats[2 * (t * params.heads + h) + 1] = delta;
  }
}
