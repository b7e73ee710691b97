// ROWS rows of one head a workgroup, as keys and values, against THREADS queries at a time: a thread has one query for
// scores and slopes, and four channels of some rows for the mix.

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

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>; // [T, 3C]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [T, H, 2]
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [T, 3C]
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> keys: array<vec4f, ROWS * QUADS>;
var<workgroup> values: array<vec4f, ROWS * QUADS>;
var<workgroup> probabilities: array<f32, ROWS * THREADS>;
var<workgroup> changes: array<f32, ROWS * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let blocks = (params.time + ROWS - 1) / ROWS; // of a sequence
  let first = group.y / blocks * params.time;
  let begin = first + group.y % blocks * ROWS;
  let end = first + params.time;
  if (begin >= params.rows) {
    return;
  }
  let width = params.heads * QUADS;
  for (var i = thread; i < ROWS * QUADS; i += THREADS) {
    let key = (min(begin + i / QUADS, end - 1) * 3 + 1) * width + head * QUADS + i % QUADS;
    keys[i] = qkv[key];
    values[i] = qkv[key + width];
  }
  let quad = thread % QUADS;
  let lane = thread / QUADS;
  let lanes = THREADS / QUADS; // whole ones; threads beyond them do not store
  // Of rows lane, lane + lanes, ….
  var dk = array<vec4f, ROWS>();
  var dv = array<vec4f, ROWS>();

  for (var tile = begin; tile < end; tile += THREADS) {
    workgroupBarrier();
    let t = tile + thread;
    let near = min(t, end - 1);
    var dots = array<f32, ROWS>();
    var slopes = array<f32, ROWS>();
    for (var d = 0u; d < QUADS; d++) {
      let query = qkv[near * 3 * width + head * QUADS + d];
      let ask = dy[near * width + head * QUADS + d];
      for (var r = 0u; r < ROWS; r++) {
        dots[r] += dot(keys[r * QUADS + d], query);
        slopes[r] += dot(values[r * QUADS + d], ask);
      }
    }
    let logarithm = stats[2 * (near * params.heads + head)];
    let delta = stats[2 * (near * params.heads + head) + 1];
    for (var r = 0u; r < ROWS; r++) {
      let seen = begin + r <= t && t < end;
      let probability = select(0.0, exp(dots[r] * params.scale - logarithm), seen);
      probabilities[r * THREADS + thread] = probability;
      changes[r * THREADS + thread] = probability * (slopes[r] - delta);
    }
    workgroupBarrier();
    for (var j = 0u; j < min(THREADS, end - tile); j++) {
      let query = qkv[(tile + j) * 3 * width + head * QUADS + quad];
      let ask = dy[(tile + j) * width + head * QUADS + quad];
      for (var i = 0u; i * lanes < ROWS; i++) {
        let at = min(lane + i * lanes, ROWS - 1) * THREADS + j;
        dk[i] += changes[at] * query;
        dv[i] += probabilities[at] * ask;
      }
    }
  }
  for (var i = 0u; i * lanes < ROWS; i++) {
    let r = lane + i * lanes;
    if (lane < lanes && r < ROWS && begin + r < end) {
      let key = ((begin + r) * 3 + 1) * width + head * QUADS + quad;
      dqkv[key] = dk[i] * params.scale;
      dqkv[key + width] = dv[i];
    }
  }
}
