// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 rows of x and dy at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> dy: array<vec4f>; // [T, N]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [K, N] in panels
@group(0) @binding(3) var<storage, read_write> db: array<vec4f>; // [N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> xs: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
var<workgroup> dys: array<part, INNER * COLS>; // [INNER, COLS]

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.y * ROWS;
  let end = params.inner;
  if (begin >= end) {
    return;
  }
  let cols = params.cols / 4;
  let quads = params.inner / 4;
  // Each thread brings vec4 column tx of two rows of x and dy; it computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let n = group.x * COLS + tx;
  let from_x = min(begin / 4 + tx, quads - 1);
  let from_dy = min(n, cols - 1);
  var bias = vec4f();
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var t = 0u; t < params.rows; t += INNER) {
    for (var j = 0u; j < 2; j++) {
      let row = ty + 8 * j;
      xs[row * (ROWS / 4) + tx] = part();
      dys[row * COLS + tx] = part();
      if (t + row < params.rows) {
        xs[row * (ROWS / 4) + tx] = part(x[(t + row) * quads + from_x]);
        dys[row * COLS + tx] = part(dy[(t + row) * cols + from_dy]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < INNER; i++) {
      let low = xs[i * (ROWS / 4) + 2 * ty];
      let high = xs[i * (ROWS / 4) + 2 * ty + 1];
      let value = dys[i * COLS + tx];
      bias += vec4f(value);
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
  if (n >= cols) {
    return;
  }
  let panel = select(cols, 16, cols % 16 == 0);
  let at = (n / panel) * params.inner * panel + n % panel;
  for (var r = 0u; r < 8; r++) {
    let sum = sums[r] + vec4f(parts[r]);
    let k = begin + 8 * ty + r;
    if (k < end) {
      let i = at + k * panel;
      dw[i] = select(sum, dw[i] + sum, params.add == 1);
    }
  }
  if (begin == 0 && ty == 0) {
    db[n] = select(bias, db[n] + bias, params.add == 1);
  }
}
