// 64 × 32 of y a subgroup of 8: by broadcasts, 8 values of x and 4 of w that a lane loads make 256 products, and codes are
// read once for 64 rows. For CPU adapters, where a load costs as much as dozens of products.
enable subgroups;

struct Params {
  rows: u32,
  inner: u32,
  cols: u32,
  gelu: u32,
  add: u32,
  bits: u32,
  group: u32,
}

override BITS: u32 = 8;
override GROUP: u32 = 64;
override BLOCK: u32 = 4 + GROUP * BITS / 8; // vec4 of a block: 2 of scales, 2 of minimums, then lines of 4

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, K]
@group(0) @binding(1) var<storage, read> w: array<vec4u>; // [panels, blocks, lines]
@group(0) @binding(2) var<storage, read> b: array<vec4f>; // [N]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [T, N]
@group(0) @binding(4) var<uniform> params: Params;

const ROWS = 64u;

// Four of the halves that begin at vec4 i of w, those of vec4 column n of the panel.
fn halves(i: u32, n: u32) -> vec4f {
  let words = w[i + n / 2];
  let pair = select(words.xy, words.zw, (n & 1) == 1);
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// Four rows of w, whose codes are the bytes of the four columns' words.
fn weights(words: vec4u, scale: vec4f, minimum: vec4f) -> mat4x4f {
  return transpose(mat4x4f(
    scale.x * vec4f(unpack4xU8(words.x)) + minimum.x,
    scale.y * vec4f(unpack4xU8(words.y)) + minimum.y,
    scale.z * vec4f(unpack4xU8(words.z)) + minimum.z,
    scale.w * vec4f(unpack4xU8(words.w)) + minimum.w,
  ));
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

// Adds eight rows, the lanes' values of a, times a lane's four columns.
fn products(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: f32, columns: vec4f) {
  sums[row] += subgroupBroadcast(a, 0) * columns;
  sums[row + 1] += subgroupBroadcast(a, 1) * columns;
  sums[row + 2] += subgroupBroadcast(a, 2) * columns;
  sums[row + 3] += subgroupBroadcast(a, 3) * columns;
  sums[row + 4] += subgroupBroadcast(a, 4) * columns;
  sums[row + 5] += subgroupBroadcast(a, 5) * columns;
  sums[row + 6] += subgroupBroadcast(a, 6) * columns;
  sums[row + 7] += subgroupBroadcast(a, 7) * columns;
}

// Adds 32 rows.
fn half(sums: ptr<function, array<vec4f, ROWS>>, row: u32, a: vec4f, columns: vec4f) {
  products(sums, row, a.x, columns);
  products(sums, row + 8, a.y, columns);
  products(sums, row + 16, a.z, columns);
  products(sums, row + 24, a.w, columns);
}

// sums[r], by selections: an index that varies would put the sums in memory.
fn pick(sums: ptr<function, array<vec4f, ROWS>>, r: u32) -> vec4f {
  var rest: array<vec4f, 32>;
  for (var i = 0u; i < 32; i++) {
    rest[i] = select(sums[i], sums[i + 32], (r & 32) != 0);
  }
  for (var i = 0u; i < 16; i++) {
    rest[i] = select(rest[i], rest[i + 16], (r & 16) != 0);
  }
  for (var i = 0u; i < 8; i++) {
    rest[i] = select(rest[i], rest[i + 8], (r & 8) != 0);
  }
  for (var i = 0u; i < 4; i++) {
    rest[i] = select(rest[i], rest[i + 4], (r & 4) != 0);
  }
  return select(select(rest[0], rest[2], (r & 2) != 0), select(rest[1], rest[3], (r & 2) != 0), (r & 1) != 0);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = group.y * ROWS;
  let end = params.rows;
  if (begin >= end) {
    return;
  }
  let cols = params.cols / 4;
  let n = group.x * 8 + lane;
  // Lanes and rows beyond the last repeat it, and do not store.
  let column = min(n, cols - 1);
  var block = column / 4 * ((params.inner + GROUP - 1) / GROUP) * BLOCK;
  let quads = params.inner / 4;
  let low = min(vec4u(begin + lane) + vec4u(0, 8, 16, 24), vec4u(end - 1)) * quads;
  let high = min(vec4u(begin + lane) + vec4u(32, 40, 48, 56), vec4u(end - 1)) * quads;
  // The last rows may skip the upper half.
  let whole = end - begin > 32;
  var sums: array<vec4f, ROWS>;
  for (var first = 0u; first < quads; first += GROUP / 4) {
    let scale = halves(block, column % 4);
    let minimum = halves(block + 2, column % 4);
    for (var k = first; k < min(first + GROUP / 4, quads); k++) {
      let row = 4 * (k - first);
      var words = w[block + 4 + row * BITS / 32 * 4 + column % 4];
      if (BITS == 4) {
        words = (words >> vec4u(row & 4)) & vec4u(0x0f0f0f0f);
      }
      let value = weights(words, scale, minimum);
      let i = low + k;
      let a = transpose(mat4x4f(x[i.x], x[i.y], x[i.z], x[i.w]));
      half(&sums, 0, a[0], value[0]);
      half(&sums, 0, a[1], value[1]);
      half(&sums, 0, a[2], value[2]);
      half(&sums, 0, a[3], value[3]);
      if (whole) {
        let j = high + k;
        let c = transpose(mat4x4f(x[j.x], x[j.y], x[j.z], x[j.w]));
        half(&sums, 32, c[0], value[0]);
        half(&sums, 32, c[1], value[1]);
        half(&sums, 32, c[2], value[2]);
        half(&sums, 32, c[3], value[3]);
      }
    }
    block += BLOCK;
  }
  let stop = min(begin + ROWS, end);
  for (var i = begin; i < stop && n < cols; i++) {
    store(i, n, pick(&sums, i - begin));
  }
}
