// One thread an element of a new row's keys and values.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read_write> k: array<f32>; // [B, H, S, D]
@group(0) @binding(4) var<storage, read_write> v: array<f32>; // [B, H, S, D]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let t = id.y;
  let width = params.heads * params.head_size;
  if (c >= width || t >= params.rows) {
    return;
  }
  let h = c / params.head_size;
  let d = c % params.head_size;
  let to = ((seq[t] * params.heads + h) * params.context + pos[t]) * params.head_size + d;
  k[to] = qkv[t * 3 * width + width + c];
  v[to] = qkv[t * 3 * width + 2 * width + c];
}
