// ROWS rows of one head a subgroup of 8, against 32 keys at a time: lanes are keys for the scores, channels for the mix.
// For CPU adapters: a load of q or of a weight serves 8 keys by broadcasts.
enable subgroups;

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
  bits: u32,
  scale: f32,
}

override ROWS: u32 = 4; // at most 4
override CHUNKS: u32 = 2; // of 32 channels, at most 4; the head size is a multiple of 4
override BITS: u32 = 8; // of a channel, 16 or 8

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read> k: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(4) var<storage, read> v: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [T, C]
@group(0) @binding(6) var<uniform> params: Params;

const LOWEST = -3.4e38;

// Channels 4 d … 4 d + 3 of the row that begins at word `row`.
fn key(row: u32, d: u32, quads: u32) -> vec4f {
  if (BITS == 16) {
    return vec4f(unpack2x16float(k[row + 2 * d]), unpack2x16float(k[row + 2 * d + 1]));
  }
  return vec4f(unpack4xI8(k[row + d])) * unpack2x16float(k[row + quads + d / 16])[d / 8 % 2];
}

fn value(row: u32, d: u32, quads: u32) -> vec4f {
  if (BITS == 16) {
    return vec4f(unpack2x16float(v[row + 2 * d]), unpack2x16float(v[row + 2 * d + 1]));
  }
  return vec4f(unpack4xI8(v[row + d])) * unpack2x16float(v[row + quads + d / 16])[d / 8 % 2];
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let begin = group.y * ROWS;
  if (begin >= params.rows) {
    return;
  }
  let end = min(begin + ROWS, params.rows);
  let quads = params.head_size / 4;
  let words = select(quads + (quads + 15) / 16, 2 * quads, BITS == 16);
  let width = params.heads * quads;

  var top: array<f32, 4>;
  var total: array<f32, 4>;
  var mix: array<array<vec4f, 4>, 4>;
  for (var r = 0u; r < ROWS; r++) {
    top[r] = LOWEST;
  }
  // Rows of one sequence at a time.
  var first = begin;
  while (first < end) {
    let sequence = seq[first];
    var last = first;
    while (last + 1 < end && seq[last + 1] == sequence) {
      last++;
    }
    let keys = pos[last] + 1;
    let cached = (sequence * params.heads + head) * params.context * words;
    for (var tile = 0u; tile < keys; tile += 32) {
      // Of keys tile + lane, + 8, + 16, + 24. Without a value, Dawn keeps what the last turn left.
      var scores = array<vec4f, 4>();
      for (var d = 0u; d < quads; d++) {
        var keys4: mat4x4f;
        for (var j = 0u; j < 4; j++) {
          keys4[j] = key(cached + min(tile + 8 * j + lane, keys - 1) * words, d, quads);
        }
        for (var r = 0u; r < ROWS; r++) {
          scores[r] += qkv[min(begin + r, end - 1) * 3 * width + head * quads + d] * keys4;
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        let t = min(begin + r, end - 1);
        let mine = begin + r >= first && begin + r <= last;
        let seen = select(vec4<bool>(), vec4u(tile + lane) + vec4u(0, 8, 16, 24) <= vec4u(pos[t]), mine);
        let score = select(vec4f(LOWEST), scores[r] * params.scale, seen);
        let before = top[r];
        top[r] = max(before, subgroupMax(max(max(score.x, score.y), max(score.z, score.w))));
        let weights = select(vec4f(), exp(score - top[r]), seen);
        scores[r] = weights;
        let shrink = exp(before - top[r]);
        total[r] = total[r] * shrink + weights.x + weights.y + weights.z + weights.w;
        for (var c = 0u; c < CHUNKS; c++) {
          mix[r][c] *= shrink;
        }
      }
      let count = min(32, keys - tile);
      for (var j = 0u; j < count; j++) {
        for (var c = 0u; c < CHUNKS; c++) {
          let four = value(cached + (tile + j) * words, min(8 * c + lane, quads - 1), quads);
          for (var r = 0u; r < ROWS; r++) {
            mix[r][c] += subgroupShuffle(scores[r][j / 8], j % 8) * four;
          }
        }
      }
    }
    first = last + 1;
  }
  for (var r = 0u; r < ROWS; r++) {
    let sum = subgroupAdd(total[r]);
    for (var c = 0u; c < CHUNKS; c++) {
      if (begin + r < end && 8 * c + lane < quads) {
        y[(begin + r) * width + head * quads + 8 * c + lane] = mix[r][c] / sum;
      }
    }
  }
}
