// One workgroup a block of 16,384 elements.

struct Params {
  count: u32,
  at: u32,
}

override THREADS: u32 = 64;
const BLOCK = 16384u;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [n]
@group(0) @binding(1) var<storage, read_write> sums: array<f32>; // [blocks, 2]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> parts: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let begin = group.x * BLOCK;
  var sum = vec2f(); // of squares, of what is not finite
  for (var i = begin + thread; i < min(begin + BLOCK, params.count); i += THREADS) {
    let value = x[i];
    // By its bits: compilers may take it that no number is infinite or NaN.
    let finite = (bitcast<u32>(value) & 0x7f800000) != 0x7f800000;
    sum += select(vec2f(0, 1), vec2f(value * value, 0), finite);
  }
  parts[thread] = sum;
  workgroupBarrier();
  if (thread == 0) {
    for (var i = 1u; i < THREADS; i++) {
      sum += parts[i];
    }
    sums[2 * (params.at + group.x)] = sum.x;
    sums[2 * (params.at + group.x) + 1] = sum.y;
  }
}
