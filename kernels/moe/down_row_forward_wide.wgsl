// One row: a thread has 8 neighbouring columns, LANES threads are side by side, and SLICES of them share the inner axis.

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  first: u32,
  count: u32,
  at: u32,
}

override W_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16
override LANES: u32 = 8;
override SLICES: u32 = 32;

@group(0) @binding(0) var<storage, read> h: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<storage, read> prob: array<f32>; // [MoE layers · T]
@group(0) @binding(3) var<storage, read> w: array<vec4u>; // [E part, K, N] in panels
@group(0) @binding(4) var<storage, read> b: array<vec4f>; // [E, N]
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> parts: array<array<vec4f, 2>, LANES * SLICES>;

// Elements 8 i … 8 i + 7 of w.
fn weights(i: u32) -> array<vec4f, 2> {
  if (W_TYPE == 0) {
    return array(bitcast<vec4f>(w[2 * i]), bitcast<vec4f>(w[2 * i + 1]));
  }
  let words = w[i];
  if (W_TYPE == 1) {
    return array(
      vec4f(unpack2x16float(words.x), unpack2x16float(words.y)),
      vec4f(unpack2x16float(words.z), unpack2x16float(words.w)),
    );
  }
  let even = bitcast<vec4f>(words << vec4u(16));
  let odd = bitcast<vec4f>(words & vec4u(0xffff0000));
  return array(vec4f(even.x, odd.x, even.y, odd.y), vec4f(even.z, odd.z, even.w, odd.w));
}

fn store(e: u32, t: u32, n: u32, scale: f32, product: vec4f) {
  let sum = product + b[(params.first + e) * (params.cols / 4) + n];
  y[t * (params.cols / 4) + n] += scale * sum;
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
  let cols = params.cols / 8;
  let panel = select(cols, 8, cols % 8 == 0);
  let n = group.x * LANES + id.x;
  let column = min(n, cols - 1);
  let at = (e * (cols / panel) + column / panel) * params.inner * panel + column % panel;
  let quads = params.inner / 4;
  // Read before the loop: read after it, lavapipe's code for the loop is half again as slow.
  let scale = prob[params.at + t];
  var low = vec4f();
  var high = vec4f();
  for (var k = id.y; k < quads; k += SLICES) {
    let a = h[t * quads + k];
    let w0 = weights(at + 4 * k * panel);
    let w1 = weights(at + (4 * k + 1) * panel);
    let w2 = weights(at + (4 * k + 2) * panel);
    let w3 = weights(at + (4 * k + 3) * panel);
    low += a.x * w0[0] + a.y * w1[0] + a.z * w2[0] + a.w * w3[0];
    high += a.x * w0[1] + a.y * w1[1] + a.z * w2[1] + a.w * w3[1];
  }
  if (SLICES > 1) {
    parts[thread] = array(low, high);
    workgroupBarrier();
    if (id.y > 0) {
      return;
    }
    for (var i = id.x + LANES; i < SLICES * LANES; i += LANES) {
      low += parts[i][0];
      high += parts[i][1];
    }
  }
  if (n < cols) {
    store(e, t, 2 * n, scale, low);
    store(e, t, 2 * n + 1, scale, high);
  }
}
