// COLS columns a workgroup, each by LANES threads that take every LANES-th row; their sums are added in order.

struct Params {
  rows: u32,
  width: u32,
  add: u32,
}

override COLS: u32 = 16;
override LANES: u32 = 8;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> dy: array<f32>; // [T, C]
@group(0) @binding(2) var<storage, read> stats: array<f32>; // [T, 2]
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>; // [C]
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>; // [C]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> parts: array<vec2f, COLS * LANES>;

@compute @workgroup_size(COLS, LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let c = group.x * COLS + local.x;
  var sum = vec2f(); // of the weight, of the bias
  if (c < params.width) {
    for (var t = local.y; t < params.rows; t += LANES) {
      let i = t * params.width + c;
      sum += dy[i] * vec2f((x[i] - stats[2 * t]) * stats[2 * t + 1], 1);
    }
  }
  parts[local.y * COLS + local.x] = sum;
  workgroupBarrier();
  if (local.y == 0 && c < params.width) {
    var total = select(vec2f(), vec2f(dweight[c], dbias[c]), params.add == 1);
    for (var i = 0u; i < LANES; i++) {
      total += parts[i * COLS + local.x];
    }
    dweight[c] = total.x;
    dbias[c] = total.y;
  }
}
