// ROWS rows of one head a workgroup, against THREADS keys at a time: a thread has one key for scores and slopes, one part
// of a row for its maximum, and four channels of some rows for the mix.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  time: u32,
  scale: f32,
}

override QUADS: u32 = 16; // the head size / 4, at most THREADS
const ROWS = 8u;
const THREADS = 128u;
const SHARE = THREADS / ROWS;
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>; // [T, 3C]
@group(0) @binding(1) var<storage, read> y: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read> dy: array<vec4f>; // [T, C]
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [T, 3C]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>; // [T, H, 2]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> queries: array<vec4f, ROWS * QUADS>;
var<workgroup> asks: array<vec4f, ROWS * QUADS>; // of dy
var<workgroup> scores: array<f32, ROWS * THREADS>;
var<workgroup> parts: array<f32, THREADS>;
var<workgroup> tops: array<f32, ROWS>;
var<workgroup> shrinks: array<f32, ROWS>;
var<workgroup> totals: array<f32, ROWS>;
var<workgroup> deltas: array<f32, ROWS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let blocks = (params.time + ROWS - 1) / ROWS; // of a sequence
  let first = group.y / blocks * params.time;
  let begin = first + group.y % blocks * ROWS;
  let end = min(begin + ROWS, first + params.time);
  if (begin >= params.rows) {
    return;
  }
  let width = params.heads * QUADS;
  for (var i = thread; i < ROWS * QUADS; i += THREADS) {
    let t = min(begin + i / QUADS, end - 1);
    queries[i] = qkv[t * 3 * width + head * QUADS + i % QUADS] * params.scale;
    asks[i] = dy[t * width + head * QUADS + i % QUADS];
  }
  workgroupBarrier();
  if (thread < ROWS) {
    let t = min(begin + thread, end - 1);
    var delta = 0.0;
    for (var d = 0u; d < QUADS; d++) {
      delta += dot(asks[thread * QUADS + d], y[t * width + head * QUADS + d]);
    }
    deltas[thread] = delta;
    tops[thread] = LOWEST;
  }
  let row = thread / SHARE;
  let quad = thread % QUADS;
  let lane = thread / QUADS;
  let lanes = THREADS / QUADS; // whole ones; threads beyond them do not store
  var sums = array<f32, ROWS>(); // of this thread's keys
  var mix = array<vec4f, ROWS>(); // of rows lane, lane + lanes, …

  for (var tile = first; tile < end; tile += THREADS) {
    let s = tile + thread;
    let key = (min(s, end - 1) * 3 + 1) * width + head * QUADS;
    var dots = array<f32, ROWS>();
    var slopes = array<f32, ROWS>();
    for (var d = 0u; d < QUADS; d++) {
      let k = qkv[key + d];
      let v = qkv[key + width + d];
      for (var r = 0u; r < ROWS; r++) {
        dots[r] += dot(queries[r * QUADS + d], k);
        slopes[r] += dot(asks[r * QUADS + d], v);
      }
    }
    workgroupBarrier();
    for (var r = 0u; r < ROWS; r++) {
      scores[r * THREADS + thread] = select(LOWEST, dots[r], s <= min(begin + r, end - 1));
    }
    workgroupBarrier();
    var highest = LOWEST;
    for (var i = thread % SHARE; i < THREADS; i += SHARE) {
      highest = max(highest, scores[row * THREADS + i]);
    }
    parts[thread] = highest;
    workgroupBarrier();
    if (thread % SHARE == 0) {
      let before = tops[row];
      var top = before;
      for (var i = 0u; i < SHARE; i++) {
        top = max(top, parts[thread + i]);
      }
      tops[row] = top;
      shrinks[row] = exp(before - top);
    }
    workgroupBarrier();
    for (var r = 0u; r < ROWS; r++) {
      let weight = select(0.0, exp(dots[r] - tops[r]), s <= min(begin + r, end - 1));
      sums[r] = sums[r] * shrinks[r] + weight;
      scores[r * THREADS + thread] = weight * (slopes[r] - deltas[r]);
    }
    workgroupBarrier();
    for (var i = 0u; i * lanes < ROWS; i++) {
      mix[i] *= shrinks[min(lane + i * lanes, ROWS - 1)];
    }
    for (var j = 0u; j < min(THREADS, end - tile); j++) {
      let k = qkv[((tile + j) * 3 + 1) * width + head * QUADS + quad];
      for (var i = 0u; i * lanes < ROWS; i++) {
        mix[i] += scores[min(lane + i * lanes, ROWS - 1) * THREADS + j] * k;
      }
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) {
    scores[r * THREADS + thread] = sums[r];
  }
  workgroupBarrier();
  if (thread < ROWS && begin + thread < end) {
    var total = 0.0;
    for (var i = 0u; i < THREADS; i++) {
      total += scores[thread * THREADS + i];
    }
    totals[thread] = total;
    let i = 2 * ((begin + thread) * params.heads + head);
    stats[i] = tops[thread] + log(total);
    stats[i + 1] = deltas[thread];
  }
  workgroupBarrier();
  for (var i = 0u; i * lanes < ROWS; i++) {
    let r = lane + i * lanes;
    if (lane < lanes && r < ROWS && begin + r < end) {
      dqkv[(begin + r) * 3 * width + head * QUADS + quad] = mix[i] * (params.scale / totals[r]);
    }
  }
}
