// Any width: one thread an element.

struct Params {
  count: u32,
  width: u32,
  a: f32,
  b: f32,
  c: f32,
}

@group(0) @binding(0) var<storage, read_write> gram: array<f32>; // [E, C, C] in panels
@group(0) @binding(1) var<storage, read_write> w: array<f32>; // [E, C, C] in panels
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let width = params.width;
  let j = id.x;
  let i = id.y;
  if (j >= width || i >= width || id.z >= params.count) {
    return;
  }
  let panel = select(width, 64, width % 64 == 0);
  let matrix = id.z * width * width;
  let row = matrix + i / panel * panel * width + i % panel; // of A: column i
  let column = matrix + j / panel * panel * width + j % panel;
  var sum = 0.0;
  for (var k = 0u; k < width; k++) {
    sum += gram[row + k * panel] * gram[column + k * panel];
  }
  let to = column + i * panel;
  w[to] = select(0.0, params.a, i == j) + params.b * gram[to] + params.c * sum;
}
