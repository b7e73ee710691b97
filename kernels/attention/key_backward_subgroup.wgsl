// ROWS rows of one head a subgroup of 8, as keys and values, against 32 queries at a time: lanes are queries for scores
// and slopes, channels for the mix. For CPU adapters: a load of a key, a value or a change serves 8 queries by broadcasts.
enable subgroups;

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  time: u32,
  scale: f32,
}

override ROWS: u32 = 4; // at most 4
override CHUNKS: u32 = 2; // of 32 channels, at most 4; the head size is a multiple of 4

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>; // [T, 3C]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [T, H, 2]
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [T, 3C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let blocks = (params.time + ROWS - 1) / ROWS; // of a sequence
  let first = group.y / blocks * params.time;
  let begin = first + group.y % blocks * ROWS;
  let end = first + params.time;
  if (begin >= params.rows) {
    return;
  }
  let quads = params.head_size / 4;
  let width = params.heads * quads;

  var dk: array<array<vec4f, 4>, 4>;
  var dv: array<array<vec4f, 4>, 4>;
  for (var tile = begin; tile < end; tile += 32) {
    // Of queries tile + lane, + 8, + 16, + 24. Without a value, Dawn keeps what the last turn left.
    let t = vec4u(tile + lane) + vec4u(0, 8, 16, 24);
    let near = min(t, vec4u(end - 1));
    var scores = array<vec4f, 4>();
    var slopes = array<vec4f, 4>();
    for (var d = 0u; d < quads; d++) {
      var queries: mat4x4f;
      var asks: mat4x4f;
      for (var j = 0u; j < 4; j++) {
        queries[j] = qkv[near[j] * 3 * width + head * quads + d];
        asks[j] = dy[near[j] * width + head * quads + d];
      }
      for (var r = 0u; r < ROWS; r++) {
        let i = (min(begin + r, end - 1) * 3 + 1) * width + head * quads + d;
        scores[r] += qkv[i] * queries;
        slopes[r] += qkv[i + width] * asks;
      }
    }
    var logs: vec4f;
    var deltas: vec4f;
    for (var j = 0u; j < 4; j++) {
      let i = 2 * (near[j] * params.heads + head);
      logs[j] = stats[i];
      deltas[j] = stats[i + 1];
    }
    for (var r = 0u; r < ROWS; r++) {
      let seen = (vec4u(begin + r) <= t) & (t < vec4u(end));
      let probabilities = select(vec4f(), exp(scores[r] * params.scale - logs), seen);
      scores[r] = select(vec4f(), probabilities * (slopes[r] - deltas), seen);
      slopes[r] = probabilities;
    }
    for (var j = 0u; j < min(32, end - tile); j++) {
      for (var c = 0u; c < CHUNKS; c++) {
        let quad = head * quads + min(8 * c + lane, quads - 1);
        let query = qkv[(tile + j) * 3 * width + quad];
        let ask = dy[(tile + j) * width + quad];
        for (var r = 0u; r < ROWS; r++) {
          dk[r][c] += subgroupShuffle(scores[r][j / 8], j % 8) * query;
          dv[r][c] += subgroupShuffle(slopes[r][j / 8], j % 8) * ask;
        }
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    for (var c = 0u; c < CHUNKS; c++) {
      if (begin + r < end && 8 * c + lane < quads) {
        let i = ((begin + r) * 3 + 1) * width + head * quads + 8 * c + lane;
        dqkv[i] = dk[r][c] * params.scale;
        dqkv[i + width] = dv[r][c];
      }
    }
  }
}
