// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 channels at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, C]
@group(0) @binding(1) var<storage, read> wte: array<vec4u>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, V]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> xs: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
var<workgroup> ws: array<part, INNER * COLS>; // [INNER, COLS]

// Elements 4 i … 4 i + 3 of wte.
fn weights(i: u32) -> vec4f {
  if (WTE_TYPE == 0) {
    return bitcast<vec4f>(wte[i]);
  }
  let pair = wte[i / 2];
  let words = select(pair.xy, pair.zw, (i & 1) == 1);
  if (WTE_TYPE == 1) {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  return bitcast<vec4f>(vec4u(words.x << 16, words.x & 0xffff0000, words.y << 16, words.y & 0xffff0000));
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.y * ROWS;
  let end = params.rows;
  if (begin >= end) {
    return;
  }
  let quads = params.width / 4;
  // Half of the threads bring 4 × 4 values of x each, the others of wte; each computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let v = 4 * (group.x * COLS + tx);
  let quad = thread % 4;
  let block = (thread % 64) / 4;
  let four = vec4u(0, 1, 2, 3);
  let from_x = min(begin + 4 * block + four, vec4u(end - 1)) * quads;
  let from_w = min(4 * (group.x * COLS + block) + four, vec4u(params.count - 1)) * quads;
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var first = 0u; first < quads; first += INNER / 4) {
    let c = first + quad;
    var value = mat4x4f();
    if (c < quads && thread < 64) {
      let i = from_x + c;
      value = transpose(mat4x4f(x[i.x], x[i.y], x[i.z], x[i.w]));
    } else if (c < quads) {
      let i = from_w + c;
      value = transpose(mat4x4f(weights(i.x), weights(i.y), weights(i.z), weights(i.w)));
    }
    for (var j = 0u; j < 4; j++) {
      if (thread < 64) {
        xs[(quad * 4 + j) * (ROWS / 4) + block] = part(value[j]);
      } else {
        ws[(quad * 4 + j) * COLS + block] = part(value[j]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < INNER; i++) {
      let low = xs[i * (ROWS / 4) + 2 * ty];
      let high = xs[i * (ROWS / 4) + 2 * ty + 1];
      let value = ws[i * COLS + tx];
      parts[0] += low.x * value;
      parts[1] += low.y * value;
      parts[2] += low.z * value;
      parts[3] += low.w * value;
      parts[4] += high.x * value;
      parts[5] += high.y * value;
      parts[6] += high.z * value;
      parts[7] += high.w * value;
    }
    workgroupBarrier();
    if (HALF) {
      for (var r = 0u; r < 8; r++) {
        sums[r] += vec4f(parts[r]);
      }
      parts = array<part, 8>();
    }
  }
  for (var r = 0u; r < 8; r++) {
    let sum = sums[r] + vec4f(parts[r]);
    let t = begin + 8 * ty + r;
    // Rows of y need not start at whole vec4.
    for (var j = 0u; j < 4; j++) {
      if (t < end && v + j < params.count) {
        y[t * params.vocabulary + params.first + v + j] = sum[j];
      }
    }
  }
}
