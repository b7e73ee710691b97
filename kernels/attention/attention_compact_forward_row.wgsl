// One workgroup a row and head: scores of THREADS keys at a time, softmax kept running. For heads of any size.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
  bits: u32,
  scale: f32,
}

override THREADS: u32 = 64;
override HEAD_SIZE: u32 = 64;
override BITS: u32 = 8; // of a channel, 16 or 8
override QUADS: u32 = (HEAD_SIZE + 3) / 4;
override WORDS: u32 = select(QUADS + (HEAD_SIZE + 63) / 64, 2 * QUADS, BITS == 16);

@group(0) @binding(0) var<storage, read> qkv: array<f32>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read> k: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(4) var<storage, read> v: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, C]
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> query: array<f32, HEAD_SIZE>;
var<workgroup> mix: array<f32, HEAD_SIZE>;
var<workgroup> scores: array<f32, THREADS>;

// Channel d of a row that begins at word `row`: of its word, and of the word with its scale.
fn channel(word: u32, scales: u32, d: u32) -> f32 {
  if (BITS == 16) {
    return unpack2x16float(word)[d % 2];
  }
  return f32(unpack4xI8(word)[d % 4]) * unpack2x16float(scales)[d / 32 % 2];
}

fn key(row: u32, d: u32) -> f32 {
  return channel(k[row + d * BITS / 32], k[row + select(QUADS + d / 64, 0, BITS == 16)], d);
}

fn value(row: u32, d: u32) -> f32 {
  return channel(v[row + d * BITS / 32], v[row + select(QUADS + d / 64, 0, BITS == 16)], d);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let h = group.x;
  let t = group.y;
  if (t >= params.rows) {
    return;
  }
  let width = params.heads * HEAD_SIZE;
  let cached = (seq[t] * params.heads + h) * params.context * WORDS;
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
        score += query[d] * key(cached + s * WORDS, d);
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
        sum += scores[i] * value(cached + (tile + i) * WORDS, d);
      }
      mix[d] = mix[d] * shrink + sum;
    }
    workgroupBarrier();
  }
  for (var d = thread; d < HEAD_SIZE; d += THREADS) {
    y[t * width + h * HEAD_SIZE + d] = mix[d] / total;
  }
}
