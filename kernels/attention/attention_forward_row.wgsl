// One workgroup a row and head: scores of THREADS keys at a time, softmax kept running.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
  packed: u32,
  scale: f32,
}

override THREADS: u32 = 64;
override HEAD_SIZE: u32 = 64;

@group(0) @binding(0) var<storage, read> qkv: array<f32>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read> k: array<f32>; // [B, H, S, D], or [B, S, q‖k‖v]
@group(0) @binding(4) var<storage, read> v: array<f32>; // [B, H, S, D], or [B, S, q‖k‖v]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, C]
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> query: array<f32, HEAD_SIZE>;
var<workgroup> mix: array<f32, HEAD_SIZE>;
var<workgroup> scores: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let h = group.x;
  let t = group.y;
  if (t >= params.rows) {
    return;
  }
  let width = params.heads * HEAD_SIZE;
  let start = seq[t] * params.context * width;
  let cached = start + h * params.context * HEAD_SIZE;
  let from_k = select(cached, 3 * start + width + h * HEAD_SIZE, params.packed == 1);
  let from_v = select(cached, from_k + width, params.packed == 1);
  let stride = select(HEAD_SIZE, 3 * width, params.packed == 1);
  let keys = pos[t] + 1;
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    query[d] = qkv[t * 3 * width + h * HEAD_SIZE + d] * params.scale;
    mix[d] = 0;
  }
  workgroupBarrier();

  var top = -3.4e38;
  var total = 0.0;
  for (var tile = 0u; tile < keys; tile += THREADS) {
    let s = tile + thread;
    var score = -3.4e38;
    if (s < keys) {
      score = 0;
      for (var d = 0u; d < HEAD_SIZE; d++) {
        score += query[d] * k[from_k + s * stride + d];
      }
    }
    scores[thread] = score;
    workgroupBarrier();

    let before = top;
    let count = min(THREADS, keys - tile);
    for (var i = 0u; i < count; i++) {
      top = max(top, scores[i]);
    }
    let shrink = exp(before - top);
    workgroupBarrier();
    scores[thread] = exp(score - top);
    workgroupBarrier();

    total *= shrink;
    for (var i = 0u; i < count; i++) {
      total += scores[i];
    }
    for (var d = thread; d < HEAD_SIZE; d += THREADS) {
      var sum = 0.0;
      for (var i = 0u; i < count; i++) {
        sum += scores[i] * v[from_v + (tile + i) * stride + d];
      }
      mix[d] = mix[d] * shrink + sum;
    }
    workgroupBarrier();
  }
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    y[t * width + h * HEAD_SIZE + d] = mix[d] / total;
  }
}
