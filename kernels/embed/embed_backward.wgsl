// The first row of a token in sorted order takes all rows of that token, one thread a channel.

struct Params {
  rows: u32,
  width: u32,
  first: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> dx: array<f32>; // [T, C]
@group(0) @binding(1) var<storage, read> token: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> sorted: array<u32>; // [T]
@group(0) @binding(3) var<storage, read_write> dwte: array<f32>; // [V part, C]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let begin = id.y;
  if (c >= params.width || begin >= params.rows) {
    return;
  }
  let v = token[sorted[begin]];
  // Tokens below `first` wrap around to large numbers.
  let row = v - params.first;
  if (row >= params.count || (begin > 0 && token[sorted[begin - 1]] == v)) {
    return;
  }
  var sum = dwte[row * params.width + c];
  for (var i = begin; i < params.rows; i++) {
    let t = sorted[i];
    if (token[t] != v) {
      break;
    }
    sum += dx[t * params.width + c];
  }
  dwte[row * params.width + c] = sum;
}
