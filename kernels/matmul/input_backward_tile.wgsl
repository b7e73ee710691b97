// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 columns of dy at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(1) var<storage, read> w: array<vec4u>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> u: array<vec4f>; // [T, K], read if gelu
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>; // [T, K]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> dys: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
var<workgroup> ws: array<part, INNER * COLS>; // [INNER, COLS]

// Elements 4 i … 4 i + 3 of w.
fn weights(i: u32) -> vec4f {
  if (W_TYPE == 0) {
    return bitcast<vec4f>(w[i]);
  }
  let pair = w[i / 2];
  let words = select(pair.xy, pair.zw, (i & 1) == 1);
  if (W_TYPE == 1) {
    return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
  }
  return bitcast<vec4f>(vec4u(words.x << 16, words.x & 0xffff0000, words.y << 16, words.y & 0xffff0000));
}

// Derivative of gelu.
fn slope(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let t = tanh(clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10)));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + 0.134145 * x * x);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.y * ROWS;
  let end = params.rows;
  if (begin >= end) {
    return;
  }
  let inner = params.inner / 4;
  let quads = params.cols / 4;
  // Half of the threads bring 4 × 4 values of dy each, the others of w; each computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let k = group.x * COLS + tx;
  let quad = thread % 4;
  let block = (thread % 64) / 4;
  let panel = select(quads, 16, quads % 16 == 0);
  let rows = min(vec4u(begin + 4 * block) + vec4u(0, 1, 2, 3), vec4u(end - 1)) * quads;
  let from_w = min(group.x * COLS + block, inner - 1) * 4 * panel;
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var first = 0u; first < quads; first += INNER / 4) {
    let n = first + quad;
    var value = mat4x4f();
    if (n < quads && thread < 64) {
      let i = rows + n;
      value = transpose(mat4x4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]));
    } else if (n < quads) {
      let i = from_w + n / panel * panel * params.inner + n % panel;
      value = transpose(mat4x4f(weights(i), weights(i + panel), weights(i + 2 * panel), weights(i + 3 * panel)));
    }
    for (var c = 0u; c < 4; c++) {
      if (thread < 64) {
        dys[(quad * 4 + c) * (ROWS / 4) + block] = part(value[c]);
      } else {
        ws[(quad * 4 + c) * COLS + block] = part(value[c]);
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
  for (var r = 0u; r < 8; r++) {
    var sum = sums[r] + vec4f(parts[r]);
    let t = begin + 8 * ty + r;
    if (t < end && k < inner) {
      let i = t * inner + k;
      if (params.add == 1) {
        sum += dx[i];
      }
      if (params.gelu == 1) {
        sum *= slope(u[i]);
      }
      dx[i] = sum;
    }
  }
}
