// One thread four channels of a new row's keys and values, in 8 bits a group; the first of two groups writes both scales.

struct Params {
  rows: u32,
  heads: u32,
  head_size: u32,
  context: u32,
  bits: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<f32>; // [T, q‖k‖v]
@group(0) @binding(1) var<storage, read> seq: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> pos: array<u32>; // [T]
@group(0) @binding(3) var<storage, read_write> k: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(4) var<storage, read_write> v: array<u32>; // [B, H, S, words of D channels]
@group(0) @binding(5) var<uniform> params: Params;

const GROUP = 32u;
const NONE = 0x7e00u; // f16, no number

fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000) != 0x7f800000;
}

// Two f16, within their range; what is no finite number is none.
fn halves(x: vec2f) -> u32 {
  let word = pack2x16float(clamp(x, vec2f(-65504), vec2f(65504)));
  let low = select(NONE, word & 0xffff, is_finite(x.x));
  return low | (select(NONE, word >> 16, is_finite(x.y)) << 16);
}

// Channel d of the row that begins at `row`, 0 beyond its end.
fn channel(row: u32, d: u32) -> f32 {
  if (d < params.head_size) {
    return qkv[row + d];
  }
  return 0;
}

// The scale of the group that begins with channel `first`, f16.
fn scale_of(row: u32, first: u32) -> u32 {
  var highest = 0.0;
  for (var d = first; d < first + GROUP; d++) {
    let x = channel(row, d);
    if (!is_finite(x)) {
      return NONE;
    }
    highest = max(highest, abs(x));
  }
  return halves(vec2f(highest * 0.007874016, 0));
}

fn quad(row: u32, d: u32) -> vec4f {
  return vec4f(channel(row, d), channel(row, d + 1), channel(row, d + 2), channel(row, d + 3));
}

// What codes are multiplied with to come from the channels; 0 where all codes are 0.
fn inverse_of(scale: u32) -> f32 {
  if (scale == 0 || scale == NONE) {
    return 0;
  }
  return 1 / unpack2x16float(scale).x;
}

// Codes of the four channels from d on.
fn codes(row: u32, d: u32, inverse: f32) -> u32 {
  if (inverse == 0) {
    return 0;
  }
  return pack4xI8(vec4i(round(clamp(quad(row, d) * inverse, vec4f(-127), vec4f(127)))));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.y;
  let quads = (params.head_size + 3) / 4;
  let parts = select((params.head_size + GROUP - 1) / GROUP, quads, params.bits == 16);
  let h = id.x / parts;
  let i = id.x % parts;
  if (h >= params.heads || t >= params.rows) {
    return;
  }
  let width = params.heads * params.head_size;
  let key = t * 3 * width + width + h * params.head_size;
  let value = key + width;
  let position = (seq[t] * params.heads + h) * params.context + pos[t];
  if (params.bits == 16) {
    let to = (position * quads + i) * 2;
    let keys = quad(key, 4 * i);
    let values = quad(value, 4 * i);
    k[to] = halves(keys.xy);
    k[to + 1] = halves(keys.zw);
    v[to] = halves(values.xy);
    v[to + 1] = halves(values.zw);
    return;
  }
  let to = position * (quads + (parts + 1) / 2);
  let key_scale = scale_of(key, GROUP * i);
  let value_scale = scale_of(value, GROUP * i);
  let key_inverse = inverse_of(key_scale);
  let value_inverse = inverse_of(value_scale);
  for (var q = GROUP / 4 * i; q < min(GROUP / 4 * (i + 1), quads); q++) {
    k[to + q] = codes(key, 4 * q, key_inverse);
    v[to + q] = codes(value, 4 * q, value_inverse);
  }
  if (i % 2 == 0) {
    let pair = to + quads + i / 2;
    k[pair] = key_scale | (scale_of(key, GROUP * (i + 1)) << 16);
    v[pair] = value_scale | (scale_of(value, GROUP * (i + 1)) << 16);
  }
}
