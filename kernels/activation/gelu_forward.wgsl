// Four elements a thread, 256 a workgroup; workgroups stand in rows of 256.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [n]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [n]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = (group.y * 256 + group.x) * 256;
  for (var j = thread; j < 256; j += 64) {
    let i = begin + j;
    if (i < params.count) {
      let v = x[i];
      // tanh is ±1 in f32 beyond 10, and some drivers return NaN for large arguments.
      let u = clamp(v * 0.7978845608 * (1 + 0.044715 * v * v), -10.0, 10.0);
      y[i] = 0.5 * v * (1 + tanh(u));
    }
  }
}
