// ROWS rows of x: LANES threads share the channels of 8 rows of wte, GROUPS times over.

struct Params {
  rows: u32,
  width: u32,
  vocabulary: u32,
  first: u32,
  count: u32,
}

override WTE_TYPE: u32 = 0; // 0 f32, 1 f16, 2 bf16
override LANES: u32 = 32; // at least 8
override GROUPS: u32 = 2;
override ROWS: u32 = 4; // at most 4

@group(0) @binding(0) var<storage, read> x: array<vec4f>; // [T, C]
@group(0) @binding(1) var<storage, read> wte: array<vec4u>; // [V part, C]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, V]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> parts: array<f32, ROWS * 8 * GROUPS * LANES>;

// Elements 8 i … 8 i + 7 of wte.
fn weights(i: u32) -> array<vec4f, 2> {
  if (WTE_TYPE == 0) {
    return array(bitcast<vec4f>(wte[2 * i]), bitcast<vec4f>(wte[2 * i + 1]));
  }
  let words = wte[i];
  if (WTE_TYPE == 1) {
    return array(
      vec4f(unpack2x16float(words.x), unpack2x16float(words.y)),
      vec4f(unpack2x16float(words.z), unpack2x16float(words.w)),
    );
  }
  let even = bitcast<vec4f>(words << vec4u(16));
  let odd = bitcast<vec4f>(words & vec4u(0xffff0000));
  return array(vec4f(even.x, odd.x, even.y, odd.y), vec4f(even.z, odd.z, even.w, odd.w));
}

@compute @workgroup_size(LANES, GROUPS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let first = group.y * ROWS;
  if (first >= params.rows) {
    return;
  }
  let width = params.width / 8;
  let begin = (group.x * GROUPS + id.y) * 8;
  var sums = array<array<f32, 8>, 4>();
  for (var c = id.x; c < width; c += LANES) {
    var low: array<vec4f, 4>;
    var high: array<vec4f, 4>;
    for (var t = 0u; t < ROWS; t++) {
      let i = (min(first + t, params.rows - 1) * width + c) * 2;
      low[t] = x[i];
      high[t] = x[i + 1];
    }
    for (var r = 0u; r < 8; r++) {
      let w = weights(min(begin + r, params.count - 1) * width + c);
      for (var t = 0u; t < ROWS; t++) {
        sums[t][r] += dot(low[t], w[0]) + dot(high[t], w[1]);
      }
    }
  }
  for (var t = 0u; t < ROWS; t++) {
    for (var r = 0u; r < 8; r++) {
      parts[((t * GROUPS + id.y) * 8 + r) * LANES + id.x] = sums[t][r];
    }
  }
  workgroupBarrier();
  let stop = min(ROWS, params.rows - first);
  for (var t = 0u; t < stop; t++) {
    if (id.x < 8 && begin + id.x < params.count) {
      let part = ((t * GROUPS + id.y) * 8 + id.x) * LANES;
      var sum = 0.0;
      for (var i = part; i < part + LANES; i++) {
        sum += parts[i];
      }
      y[(first + t) * params.vocabulary + params.first + begin + id.x] = sum;
    }
  }
}
