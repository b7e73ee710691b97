// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 rows of wte at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
  at: u32,
  add: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, V]
@group(0) @binding(1) var<storage, read> wte: array<vec4u>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>; // [at + T, C]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> dys: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
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
  let width = params.width / 4;
  // Each thread brings 2 × 4 values of a column of dy, and vec4 column tx of two rows of wte; it computes rows 8 ty … and
  // vec4 column tx.
  let column = thread % INNER;
  let tx = thread % COLS;
  let ty = thread / COLS;
  let c = group.x * COLS + tx;
  let from_w = min(c, width - 1);
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var v = 0u; v < params.count; v += INNER) {
    for (var j = 0u; j < 2; j++) {
      let quad = thread / INNER + 8 * j;
      let rows = min(vec4u(begin + 4 * quad) + vec4u(0, 1, 2, 3), vec4u(end - 1));
      var value = vec4f();
      if (v + column < params.count) {
        let i = rows * params.vocabulary + params.first + v + column;
        value = vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]);
      }
      dys[column * (ROWS / 4) + quad] = part(value);
      let row = ty + 8 * j;
      ws[row * COLS + tx] = part();
      if (v + row < params.count) {
        ws[row * COLS + tx] = part(weights((v + row) * width + from_w));
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < INNER; i++) {
      let low = dys[i * (ROWS / 4) + 2 * ty];
      let high = dys[i * (ROWS / 4) + 2 * ty + 1];
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
  if (c >= width) {
    return;
  }
  for (var r = 0u; r < 8; r++) {
    let sum = sums[r] + vec4f(parts[r]);
    let t = begin + 8 * ty + r;
    if (t < end) {
      let i = (params.at + t) * width + c;
      dx[i] = select(sum, dx[i] + sum, params.add == 1);
    }
  }
}
