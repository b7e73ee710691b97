// One block a workgroup: 8 threads a column try different grids, then write its words. Sums go by the order of the rows.

struct Params {
  inner: u32,
  cols: u32,
  turned: u32,
  bits: u32,
  group: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [K, N], or [N, K]
@group(0) @binding(1) var<storage, read> importance: array<f32>; // [K]
@group(0) @binding(2) var<storage, read_write> w: array<u32>; // [panels, blocks, words]
@group(0) @binding(3) var<storage, read_write> sums: array<f32>; // [blocks, 2]
@group(0) @binding(4) var<uniform> params: Params;

const PANEL = 16u;
const THREADS = 128u;
const GRIDS = 22u; // at most: one of a single value, then those with steps
const WORST = 3.4e38;

var<workgroup> values: array<f32, 128 * PANEL>; // [group, PANEL]
var<workgroup> found: array<u32, GRIDS * PANEL>; // scale and minimum, f16
var<workgroup> errors: array<f32, GRIDS * PANEL>;
var<workgroup> chosen: array<u32, PANEL>;
var<workgroup> parts: array<vec2f, THREADS>;

fn code(value: f32, scale: f32, minimum: f32) -> f32 {
  let levels = f32((1u << params.bits) - 1);
  if (scale > 0) {
    return round(clamp((value - minimum) / scale, 0.0, levels));
  }
  return 0;
}

fn halves(scale: f32, minimum: f32) -> u32 {
  return pack2x16float(clamp(vec2f(scale, minimum), vec2f(-65504), vec2f(65504)));
}

// Scale and minimum by least squares, of the codes that grid `j` gives the column.
fn fit(column: u32, begin: u32, live: u32, j: u32) -> u32 {
  var low = values[column];
  var high = low;
  for (var k = 1u; k < live; k++) {
    low = min(low, values[k * PANEL + column]);
    high = max(high, values[k * PANEL + column]);
  }
  if (j == 0 || !(high > low)) {
    return halves(0, low);
  }
  let first = (high - low) / select(14 + 0.1 * f32(j - 1), 255, params.bits == 8);
  var sa = 0.0;
  var sl = 0.0;
  var sll = 0.0;
  var sv = 0.0;
  var slv = 0.0;
  for (var k = 0u; k < live; k++) {
    let a = importance[begin + k];
    let v = values[k * PANEL + column];
    let l = code(v, first, low);
    sa += a;
    sl += a * l;
    sll += a * l * l;
    sv += a * v;
    slv += a * l * v;
  }
  let det = sa * sll - sl * sl;
  if (det > 0) {
    return halves((sa * slv - sv * sl) / det, (sll * sv - sl * slv) / det);
  }
  return halves(first, low);
}

fn off(i: u32, scale: f32, minimum: f32) -> f32 {
  return scale * code(values[i], scale, minimum) + minimum - values[i];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = id.x * params.group;
  let live = min(params.group, params.inner - begin);
  let width = min(PANEL, params.cols - id.y * PANEL);
  for (var i = thread; i < params.group * PANEL; i += THREADS) {
    let at = select(vec2u(i / PANEL, i % PANEL), vec2u(i % params.group, i / params.group), params.turned == 1);
    let k = begin + at.x;
    let n = id.y * PANEL + at.y;
    if (at.x < live && at.y < width) {
      values[at.x * PANEL + at.y] = x[select(k * params.cols + n, n * params.inner + k, params.turned == 1)];
    }
  }
  workgroupBarrier();
  let column = thread % PANEL;
  let grids = select(GRIDS, 2, params.bits == 8);
  for (var j = thread / PANEL; j < grids; j += THREADS / PANEL) {
    let pair = fit(column, begin, live, j);
    let grid = unpack2x16float(pair);
    var error = 0.0;
    for (var k = 0u; k < live; k++) {
      let e = off(k * PANEL + column, grid.x, grid.y);
      error += importance[begin + k] * (e * e);
    }
    found[j * PANEL + column] = pair;
    errors[j * PANEL + column] = select(error, WORST, j > 0 && grid.x <= 0);
  }
  workgroupBarrier();
  var best = column;
  for (var j = 1u; j < grids; j++) {
    if (errors[j * PANEL + column] < errors[best]) {
      best = j * PANEL + column;
    }
  }
  let pair = select(0, found[best], column < width);
  let grid = unpack2x16float(pair);
  let block = id.y * ((params.inner + params.group - 1) / params.group) + id.x;
  let to = block * (PANEL + params.group * params.bits / 2);
  let terms = 32 / params.bits;
  var sum = vec2f();
  for (var line = thread / PANEL; line < params.group / terms; line += THREADS / PANEL) {
    var word = 0u;
    for (var r = 0u; r < terms; r++) {
      let i = (line * terms + r) * PANEL + column;
      if (line * terms + r < live && column < width) {
        word |= u32(code(values[i], grid.x, grid.y)) << (8 * (r & 3) + (r & 4));
        let e = off(i, grid.x, grid.y);
        sum += vec2f(e * e, values[i] * values[i]);
      }
    }
    w[to + PANEL + line * PANEL + column] = word;
  }
  parts[thread] = sum;
  if (thread < PANEL) {
    chosen[thread] = pair;
  }
  workgroupBarrier();
  if (thread < PANEL) {
    let low = chosen[2 * (thread % 8)];
    let high = chosen[2 * (thread % 8) + 1];
    w[to + thread] = select((low >> 16) | (high & 0xffff0000), (low & 0xffff) | (high << 16), thread < 8);
  }
  for (var n = THREADS / 2; n > 0; n /= 2) {
    if (thread < n) {
      parts[thread] += parts[thread + n];
    }
    workgroupBarrier();
  }
  if (thread == 0) {
    sums[2 * block] = parts[0].x;
    sums[2 * block + 1] = parts[0].y;
  }
}
