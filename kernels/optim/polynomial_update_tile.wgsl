// 64 × 64 tiles through workgroup memory, 8 rows × 4 columns a thread, 16 terms at a time.

struct Params {
  count: u32,
  width: u32,
  a: f32,
  b: f32,
  c: f32,
}

@group(0) @binding(0) var<storage, read_write> gram: array<vec4f>; // [E, C, C] in panels
@group(0) @binding(1) var<storage, read_write> w: array<vec4f>; // [E, C, C] in panels
@group(0) @binding(2) var<uniform> params: Params;

const ROWS = 64u;
const COLS = 16u; // vec4 columns of a tile
const INNER = 16u;

var<workgroup> rows: array<vec4f, INNER * COLS>; // of A: columns, [INNER, ROWS]
var<workgroup> columns: array<vec4f, INNER * COLS>; // [INNER, COLS]

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let width = params.width;
  let quads = width / 4;
  let panel = select(quads, 16, quads % 16 == 0);
  let matrix = group.z * width * quads;
  // Each thread brings vec4 column tx of two rows of both; it computes rows 8 ty … and vec4 column tx.
  let tx = thread % COLS;
  let ty = thread / COLS;
  let i = min(group.y * COLS + tx, quads - 1);
  let j = min(group.x * COLS + tx, quads - 1);
  let from_row = matrix + i / panel * panel * width + i % panel;
  let from_column = matrix + j / panel * panel * width + j % panel;
  var sums = array<vec4f, 8>();
  for (var first = 0u; first < width; first += INNER) {
    for (var half = 0u; half < 2; half++) {
      let k = ty + 8 * half;
      rows[k * COLS + tx] = vec4f();
      columns[k * COLS + tx] = vec4f();
      if (first + k < width) {
        rows[k * COLS + tx] = gram[from_row + (first + k) * panel];
        columns[k * COLS + tx] = gram[from_column + (first + k) * panel];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < INNER; k++) {
      let low = rows[k * COLS + 2 * ty];
      let high = rows[k * COLS + 2 * ty + 1];
      let value = columns[k * COLS + tx];
      sums[0] += low.x * value;
      sums[1] += low.y * value;
      sums[2] += low.z * value;
      sums[3] += low.w * value;
      sums[4] += high.x * value;
      sums[5] += high.y * value;
      sums[6] += high.z * value;
      sums[7] += high.w * value;
    }
    workgroupBarrier();
  }
  if (group.x * COLS + tx >= quads) {
    return;
  }
  for (var r = 0u; r < 8; r++) {
    let row = group.y * ROWS + 8 * ty + r;
    if (row < width) {
      let to = from_column + row * panel;
      let unit = select(vec4f(), vec4f(params.a), vec4u(row) == 4 * j + vec4u(0, 1, 2, 3));
      w[to] = unit + params.b * gram[to] + params.c * sums[r];
    }
  }
}
