// One thread a row counts the rows of its expert that come before it, a tile of rows at a time.

struct Params {
  rows: u32,
  experts: u32,
  at: u32,
  capacity: u32,
  random: u32,
  seed_low: u32,
  seed_high: u32,
  stream: u32,
}

const THREADS = 64u;

@group(0) @binding(0) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(1) var<storage, read_write> kept: array<u32>; // [MoE layers · T]
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> experts: array<u32, THREADS>;
var<workgroup> priorities: array<u32, THREADS>;

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

fn priority(t: u32) -> u32 {
  return select(0u, philox(vec4u(params.at + t, params.stream, 0, 0)).x, params.random == 1);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = id.x;
  let mine = expert[params.at + min(t, params.rows - 1)];
  let level = priority(t);
  var rank = 0u;
  for (var tile = 0u; tile < params.rows; tile += THREADS) {
    let count = min(THREADS, params.rows - tile);
    workgroupBarrier();
    if (thread < count) {
      experts[thread] = expert[params.at + tile + thread];
      priorities[thread] = priority(tile + thread);
    }
    workgroupBarrier();
    for (var i = 0u; i < count; i++) {
      let other = priorities[i];
      let before = other > level || (other == level && tile + i < t);
      rank += select(0u, 1u, experts[i] == mine && before);
    }
  }
  if (t < params.rows) {
    kept[params.at + t] = select(params.experts, mine, rank < params.capacity);
  }
}
