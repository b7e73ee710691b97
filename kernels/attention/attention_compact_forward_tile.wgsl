// ROWS rows of one head a workgroup, against THREADS keys at a time: a thread has one key for the scores, one part of a
// row for the softmax, and four channels of some rows for the mix.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
  bits: u32,
  scale: f32,
}

override ROWS: u32 = 8; // at most 8, a divisor of THREADS
override QUADS: u32 = 16; // the head size / 4, at most THREADS
override BITS: u32 = 8; // of a channel, 16 or 8
override WORDS: u32 = select(QUADS + (QUADS + 15) / 16, 2 * QUADS, BITS == 16);
const THREADS = 128u;
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read> k: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(4) var<storage, read> v: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [T, C]
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> queries: array<vec4f, ROWS * QUADS>;
var<workgroup> scores: array<f32, ROWS * THREADS>;
var<workgroup> parts: array<f32, THREADS>;
var<workgroup> shrinks: array<f32, ROWS>;
var<workgroup> totals: array<f32, ROWS>;

// Channels 4 d … 4 d + 3 of the row that begins at word `row`.
fn key(row: u32, d: u32) -> vec4f {
  if (BITS == 16) {
    return vec4f(unpack2x16float(k[row + 2 * d]), unpack2x16float(k[row + 2 * d + 1]));
  }
  return vec4f(unpack4xI8(k[row + d])) * unpack2x16float(k[row + QUADS + d / 16])[d / 8 % 2];
}

fn value(row: u32, d: u32) -> vec4f {
  if (BITS == 16) {
    return vec4f(unpack2x16float(v[row + 2 * d]), unpack2x16float(v[row + 2 * d + 1]));
  }
  return vec4f(unpack4xI8(v[row + d])) * unpack2x16float(v[row + QUADS + d / 16])[d / 8 % 2];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let begin = group.y * ROWS;
  if (begin >= params.rows) {
    return;
  }
  let end = min(begin + ROWS, params.rows);
  let width = params.heads * QUADS;
  for (var i = thread; i < ROWS * QUADS; i += THREADS) {
    let t = min(begin + i / QUADS, end - 1);
    queries[i] = qkv[t * 3 * width + head * QUADS + i % QUADS] * params.scale;
  }
  // For the softmax: this thread's row, and its part of it.
  let share = THREADS / ROWS;
  let row = thread / share;
  var top = LOWEST;
  var total = 0.0;
  // For the mix: this thread's channels, in rows lane, lane + lanes, ….
  let quad = thread % QUADS;
  let lane = thread / QUADS;
  let lanes = THREADS / QUADS; // whole ones; threads beyond them do not store
  var mix = array<vec4f, 8>();

  // Rows of one sequence at a time.
  var first = begin;
  while (first < end) {
    let sequence = seq[first];
    var last = first;
    while (last + 1 < end && seq[last + 1] == sequence) {
      last++;
    }
    let keys = pos[last] + 1;
    let cached = (sequence * params.heads + head) * params.context * WORDS;
    for (var tile = 0u; tile < keys; tile += THREADS) {
      workgroupBarrier();
      let s = tile + thread;
      var dots = array<f32, 8>();
      for (var d = 0u; d < params.head_size / 4; d++) {
        let four = key(cached + min(s, keys - 1) * WORDS, d);
        for (var r = 0u; r < ROWS; r++) {
          dots[r] += dot(queries[r * QUADS + d], four);
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        let seen = begin + r >= first && begin + r <= last && s <= pos[min(begin + r, end - 1)];
        scores[r * THREADS + thread] = select(LOWEST, dots[r], seen);
      }
      workgroupBarrier();
      var highest = LOWEST;
      for (var i = thread % share; i < THREADS; i += share) {
        highest = max(highest, scores[row * THREADS + i]);
      }
      parts[thread] = highest;
      workgroupBarrier();
      let before = top;
      for (var i = row * share; i < (row + 1) * share; i++) {
        top = max(top, parts[i]);
      }
      let shrink = exp(before - top);
      total *= shrink;
      for (var i = thread % share; i < THREADS; i += share) {
        let score = scores[row * THREADS + i];
        let weight = select(exp(score - top), 0, score == LOWEST);
        scores[row * THREADS + i] = weight;
        total += weight;
      }
      if (thread % share == 0) {
        shrinks[row] = shrink;
      }
      workgroupBarrier();
      let count = min(THREADS, keys - tile);
      for (var i = 0u; i * lanes < ROWS; i++) {
        mix[i] *= shrinks[min(lane + i * lanes, ROWS - 1)];
      }
      for (var j = 0u; j < count; j++) {
        let four = value(cached + (tile + j) * WORDS, quad);
        for (var i = 0u; i * lanes < ROWS; i++) {
          mix[i] += scores[min(lane + i * lanes, ROWS - 1) * THREADS + j] * four;
        }
      }
    }
    first = last + 1;
  }
  parts[thread] = total;
  workgroupBarrier();
  if (thread % share == 0) {
    var sum = 0.0;
    for (var i = 0u; i < share; i++) {
      sum += parts[thread + i];
    }
    totals[row] = sum;
  }
  workgroupBarrier();
  for (var i = 0u; i * lanes < ROWS; i++) {
    let r = lane + i * lanes;
    if (lane < lanes && r < ROWS && begin + r < end) {
      y[(begin + r) * width + head * QUADS + quad] = mix[i] / totals[r];
    }
  }
}
