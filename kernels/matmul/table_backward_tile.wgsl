// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 rows of dy and x at a time.

alias part = vec4f; const HALF = false; // in f16 variants: enable f16; alias part = vec4h; const HALF = true;

struct Params {
  rows: u32,
  width: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  add: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>; // [T, N]
@group(0) @binding(1) var<storage, read> x: array<vec4f>; // [T, C]
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>; // [N part, C]
@group(0) @binding(3) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> dys: array<part, INNER * ROWS / 4>; // [INNER, ROWS]
var<workgroup> xs: array<part, INNER * COLS>; // [INNER, COLS]

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.y * ROWS;
  let end = params.count;
  if (begin >= end) {
    return;
  }
  let width = params.width / 4;
  // Each thread brings vec4 column tx of two rows of dy and x; it computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let c = group.x * COLS + tx;
  let from_dy = min(vec4u(begin + 4 * tx) + vec4u(0, 1, 2, 3), vec4u(end - 1)) + params.first;
  let from_x = params.at * width + min(c, width - 1);
  var sums = array<vec4f, 8>();
  var parts = array<part, 8>(); // of a step if HALF, else of all
  for (var t = 0u; t < params.rows; t += INNER) {
    for (var j = 0u; j < 2; j++) {
      let row = ty + 8 * j;
      dys[row * (ROWS / 4) + tx] = part();
      xs[row * COLS + tx] = part();
      if (t + row < params.rows) {
        let i = from_dy + (t + row) * params.cols;
        dys[row * (ROWS / 4) + tx] = part(vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]));
        xs[row * COLS + tx] = part(x[(t + row) * width + from_x]);
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < INNER; i++) {
      let low = dys[i * (ROWS / 4) + 2 * ty];
      let high = dys[i * (ROWS / 4) + 2 * ty + 1];
      let value = xs[i * COLS + tx];
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
    let row = begin + 8 * ty + r;
    if (row < end) {
      let i = row * width + c;
      dw[i] = select(sum, dw[i] + sum, params.add == 1);
    }
  }
}
