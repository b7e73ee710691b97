// ROWS rows of one head a subgroup of 8, against 32 keys at a time: lanes are keys for scores and slopes, channels for
// the mix. For CPU adapters: a load of a query, of dy or of a change serves 8 keys by broadcasts.
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
@group(0) @binding(1) var<storage, read> y: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read> dy: array<vec4f>; // [T, C]
@group(0) @binding(3) var<storage, read_write> dqkv: array<vec4f>; // [T, 3C]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>; // [T, H, 2]
@group(0) @binding(5) var<uniform> params: Params;

const LOWEST = -3.4e38;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let blocks = (params.time + ROWS - 1) / ROWS; // of a sequence
  let first = group.y / blocks * params.time;
  let begin = first + group.y % blocks * ROWS;
  let end = min(begin + ROWS, first + params.time);
  if (begin >= params.rows) {
    return;
  }
  let quads = params.head_size / 4;
  let width = params.heads * quads;

  var top: array<f32, 4>;
  var total: array<f32, 4>;
  var delta: array<f32, 4>;
  var mix: array<array<vec4f, 4>, 4>;
  for (var r = 0u; r < ROWS; r++) {
    top[r] = LOWEST;
    var sum = 0.0;
    for (var d = lane; d < quads; d += 8) {
      let i = min(begin + r, end - 1) * width + head * quads + d;
      sum += dot(dy[i], y[i]);
    }
    delta[r] = subgroupAdd(sum);
  }
  for (var tile = first; tile < end; tile += 32) {
    // Of keys tile + lane, + 8, + 16, + 24. Without a value, Dawn keeps what the last turn left.
    var scores = array<vec4f, 4>();
    var slopes = array<vec4f, 4>();
    for (var d = 0u; d < quads; d++) {
      var keys: mat4x4f;
      var values: mat4x4f;
      for (var j = 0u; j < 4; j++) {
        let i = (min(tile + 8 * j + lane, end - 1) * 3 + 1) * width + head * quads + d;
        keys[j] = qkv[i];
        values[j] = qkv[i + width];
      }
      for (var r = 0u; r < ROWS; r++) {
        let t = min(begin + r, end - 1);
        scores[r] += qkv[t * 3 * width + head * quads + d] * keys;
        slopes[r] += dy[t * width + head * quads + d] * values;
      }
    }
    for (var r = 0u; r < ROWS; r++) {
      let seen = vec4u(tile + lane) + vec4u(0, 8, 16, 24) <= vec4u(min(begin + r, end - 1));
      let score = select(vec4f(LOWEST), scores[r] * params.scale, seen);
      let before = top[r];
      top[r] = max(before, subgroupMax(max(max(score.x, score.y), max(score.z, score.w))));
      let weights = select(vec4f(), exp(score - top[r]), seen);
      scores[r] = weights * (slopes[r] - delta[r]);
      let shrink = exp(before - top[r]);
      total[r] = total[r] * shrink + weights.x + weights.y + weights.z + weights.w;
      for (var c = 0u; c < CHUNKS; c++) {
        mix[r][c] *= shrink;
      }
    }
    for (var j = 0u; j < min(32, end - tile); j++) {
      for (var c = 0u; c < CHUNKS; c++) {
        let key = qkv[((tile + j) * 3 + 1) * width + head * quads + min(8 * c + lane, quads - 1)];
        for (var r = 0u; r < ROWS; r++) {
          mix[r][c] += subgroupShuffle(scores[r][j / 8], j % 8) * key;
        }
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    let t = begin + r;
    let sum = subgroupAdd(total[r]);
    for (var c = 0u; c < CHUNKS; c++) {
      if (t < end && 8 * c + lane < quads) {
        dqkv[t * 3 * width + head * quads + 8 * c + lane] = mix[r][c] * (params.scale / sum);
      }
    }
    if (t < end && lane == 0) {
      stats[2 * (t * params.heads + head)] = top[r] + log(sum);
      stats[2 * (t * params.heads + head) + 1] = delta[r];
    }
  }
}
