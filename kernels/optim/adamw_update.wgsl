// Four elements a thread, 256 a workgroup; workgroups stand in rows of 256.

struct Params {
  count: u32,
  rate: f32,
  beta1: f32,
  beta2: f32,
  eps: f32,
  decay: f32,
  clip: f32,
  unbias1: f32,
  unbias2: f32,
}

@group(0) @binding(0) var<storage, read> g: array<f32>; // [n]
@group(0) @binding(1) var<storage, read_write> w: array<f32>; // [n]
@group(0) @binding(2) var<storage, read_write> m: array<f32>; // [n]
@group(0) @binding(3) var<storage, read_write> v: array<f32>; // [n]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = (group.y * 256 + group.x) * 256;
  for (var j = thread; j < 256; j += 64) {
    let i = begin + j;
    if (i < params.count) {
      let slope = g[i] * params.clip;
      let mean = params.beta1 * m[i] + (1 - params.beta1) * slope;
      let square = params.beta2 * v[i] + (1 - params.beta2) * slope * slope;
      let step = params.rate * (mean / params.unbias1) / (sqrt(square / params.unbias2) + params.eps);
      m[i] = mean;
      v[i] = square;
      w[i] = w[i] * (1 - params.rate * params.decay) - step;
    }
  }
}
