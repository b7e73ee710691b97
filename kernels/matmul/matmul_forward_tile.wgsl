// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 of the inner axis at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> w: array<vec4u>; // [K, N] in panels
@group(0) @binding(2) var<storage, read> b: array<vec4f>; // [N]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> xs: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
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

fn gelu(x: vec4f) -> vec4f {
  // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
  let u = clamp(x * 0.7978845608 * (1 + 0.044715 * x * x), vec4f(-10), vec4f(10));
  return 0.5 * x * (1 + tanh(u));
}

fn store(t: u32, n: u32, product: vec4f) {
  let sum = product + b[n];
  let i = t * (params.cols / 4) + n;
  if (params.add == 1) {
    y[i] += sum;
  } else if (params.gelu == 1) {
    y[i] = gelu(sum);
  } else {
    y[i] = sum;
  }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.y * ROWS;
  let end = params.rows;
  if (begin >= end) {
    return;
  }
  let cols = params.cols / 4;
  let quads = params.inner / 4;
  // Half of the threads bring 4 × 4 values of x each, whole vectors of xs, the others 4 vec4 of w; each computes rows
  // 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let n = group.x * COLS + tx;
  let quad = thread % 4;
  let block = (thread % 64) / 4;
  let rows = min(vec4u(begin + 4 * block) + vec4u(0, 1, 2, 3), vec4u(end - 1)) * quads;
  let panel = select(cols, 16, cols % 16 == 0);
  let from_w = (n / panel) * params.inner * panel + n % panel;
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var k = 0u; k < params.inner; k += INNER) {
    if (thread < 64) {
      var value = mat4x4f();
      if (k / 4 + quad < quads) {
        let i = rows + k / 4 + quad;
        value = transpose(mat4x4f(x[i.x], x[i.y], x[i.z], x[i.w]));
      }
      for (var c = 0u; c < 4; c++) {
        xs[(quad * 4 + c) * (ROWS / 4) + block] = part(value[c]);
      }
    } else {
      for (var j = 0u; j < 4; j++) {
        let kw = ty % 4 + 4 * j;
        ws[kw * COLS + tx] = part();
        if (k + kw < params.inner && n < cols) {
          ws[kw * COLS + tx] = part(weights(from_w + (k + kw) * panel));
        }
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
    let i = begin + 8 * ty + r;
    if (i < end && n < cols) {
      store(i, n, sum);
    }
  }
}
