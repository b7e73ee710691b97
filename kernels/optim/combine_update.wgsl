// Four elements a thread, 256 a workgroup; workgroups stand in rows of 256.

struct Params {
  count: u32,
  a: f32,
  b: f32,
  c: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [n]
@group(0) @binding(1) var<storage, read> y: array<f32>; // [n]
@group(0) @binding(2) var<storage, read> z: array<f32>; // [n]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = (group.y * 256 + group.x) * 256;
  for (var j = thread; j < 256; j += 64) {
    let i = begin + j;
    if (i < params.count) {
      x[i] = params.a * x[i] + params.b * y[i] + params.c * z[i];
    }
  }
}
