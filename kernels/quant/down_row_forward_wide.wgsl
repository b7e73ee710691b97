// One row: a thread has 4 neighbouring columns, LANES threads are side by side, and SLICES of them share the inner axis.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
  bits: u32,
  group: u32,
}

override BITS: u32 = 8;
override GROUP: u32 = 64;
override LANES: u32 = 4;
override SLICES: u32 = 32;
override LINES: u32 = GROUP * BITS / 32; // of a block; one holds 4 or 8 rows of w
override BLOCK: u32 = 4 + GROUP * BITS / 8; // vec4 of a block: 2 of scales, 2 of minimums, then lines of 4

@group(0) @binding(0) var<storage, read> h: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(3) var<storage, read> w: array<vec4u>; // [E part, panels, blocks, lines]
@group(0) @binding(4) var<storage, read> b: array<vec4f>; // [E, N]
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(6) var<uniform> params: Params;

const STEP = 4u; // lines that a thread takes at a time, of one block

var<workgroup> parts: array<vec4f, LANES * SLICES>;

// Four of the halves that begin at vec4 i of w, those of vec4 column n of the panel.
fn halves(i: u32, n: u32) -> vec4f {
  let words = w[i + n / 2];
  let pair = select(words.xy, words.zw, (n & 1) == 1);
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// Four rows of h times the bytes of four columns.
fn products(a: vec4f, words: vec4u) -> vec4f {
  return a * mat4x4f(
    vec4f(unpack4xU8(words.x)),
    vec4f(unpack4xU8(words.y)),
    vec4f(unpack4xU8(words.z)),
    vec4f(unpack4xU8(words.w)),
  );
}

fn store(e: u32, t: u32, n: u32, product: vec4f) {
  y[t * (params.cols / 4) + n] += prob[params.at + t] * (product + b[(params.first + e) * (params.cols / 4) + n]);
}

@compute @workgroup_size(LANES, SLICES)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let t = group.y;
  if (t >= params.rows) {
    return;
  }
  // Experts below `first` wrap around to large numbers.
  let e = expert[params.at + t] - params.first;
  if (e >= params.count) {
    return;
  }
  let cols = params.cols / 4;
  let n = group.x * LANES + id.x;
  let column = min(n, cols - 1);
  let at = (e * ((params.cols + 15) / 16) + column / 4) * ((params.inner + GROUP - 1) / GROUP) * BLOCK;
  let lines = params.inner * BITS / 32;
  var sum = vec4f();
  for (var first = id.y * STEP; first < lines; first += SLICES * STEP) {
    let block = at + first / LINES * BLOCK;
    var codes = vec4f();
    var ones = 0.0; // times the minimums
    for (var i = first; i < first + STEP; i++) {
      // Lines beyond the last repeat it, times 0.
      let line = min(i, lines - 1);
      let live = f32(i < lines);
      let words = w[block + 4 + line % LINES * 4 + column % 4];
      let from_x = (t * lines + line) * (8 / BITS);
      let low = live * h[from_x];
      ones += dot(low, vec4f(1));
      if (BITS == 8) {
        codes += products(low, words);
      } else {
        let high = live * h[from_x + 1];
        ones += dot(high, vec4f(1));
        codes += products(low, words & vec4u(0x0f0f0f0f)) + products(high, (words >> vec4u(4)) & vec4u(0x0f0f0f0f));
      }
    }
    sum += halves(block, column % 4) * codes + halves(block + 2, column % 4) * ones;
  }
  if (SLICES > 1) {
    parts[thread] = sum;
    workgroupBarrier();
    if (id.y > 0) {
      return;
    }
    for (var i = id.x + LANES; i < SLICES * LANES; i += LANES) {
      sum += parts[i];
    }
  }
  if (n < cols) {
    store(e, t, n, sum);
  }
}
