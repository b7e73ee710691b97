// Four elements a thread, by the four words of one draw, 256 a workgroup; workgroups stand in rows of 256.

struct Params {
  count: u32,
  add: u32,
  seed_low: u32,
  seed_high: u32,
  stream: u32,
  site: u32,
  rate: f32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>; // [n]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [n]
@group(0) @binding(2) var<uniform> params: Params;

fn multiply(a: u32, b: u32) -> vec2u { // high and low word
  let mid = (a >> 16) * (b & 0xffff) + (((a & 0xffff) * (b & 0xffff)) >> 16);
  let carry = (a & 0xffff) * (b >> 16) + (mid & 0xffff);
  return vec2u((a >> 16) * (b >> 16) + (mid >> 16) + (carry >> 16), a * b);
}

// Philox 4×32-10.
fn philox(counter: vec4u) -> vec4u {
  var c = counter;
  for (var round = 0u; round < 10; round++) {
    let k = vec2u(params.seed_low, params.seed_high) + round * vec2u(0x9e3779b9, 0xbb67ae85);
    let p = multiply(0xd2511f53, c.x);
    let q = multiply(0xcd9e8d57, c.z);
    c = vec4u(q.x ^ c.y ^ k.x, q.y, p.x ^ c.w ^ k.y, p.y);
  }
  return c;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let quad = (group.y * 256 + group.x) * 64 + thread;
  let units = vec4f(philox(vec4u(quad, params.stream, params.site, 0)) >> vec4u(8)) * 0x1p-24;
  let scale = params.scale / (1 - params.rate);
  for (var j = 0u; j < 4; j++) {
    let i = quad * 4 + j;
    if (i < params.count) {
      var kept = select(0.0, x[i] * scale, units[j] >= params.rate);
      if (params.add == 1) {
        kept += y[i];
      }
      y[i] = kept;
    }
  }
}
