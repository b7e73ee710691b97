// Stable counting sort in one workgroup: thread i looks after expert i (and i + THREADS, …), in row order. Rows of no
// expert, which capacity dropped, have no place.

struct Params {
  rows: u32,
  experts: u32,
  at: u32,
}

const THREADS = 64u;

@group(0) @binding(0) var<storage, read> expert: array<u32>; // [MoE layers · T]
@group(0) @binding(1) var<storage, read_write> order: array<u32>; // [T]
@group(0) @binding(2) var<storage, read_write> start: array<u32>; // [E + 1]
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> tile: array<u32, THREADS>;
var<workgroup> counts: array<u32, THREADS>;

// Experts of rows [begin, begin + THREADS), none for rows beyond the last.
fn load(begin: u32, thread: u32) {
  workgroupBarrier();
  let t = begin + thread;
  if (t < params.rows) {
    tile[thread] = expert[params.at + t];
  } else {
    tile[thread] = 0xffffffff;
  }
  workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (params.rows == 0) {
    return;
  }
  var base = 0u;
  for (var first = 0u; first < params.experts; first += THREADS) {
    let e = first + thread;
    let exists = e < params.experts;
    var count = 0u;
    for (var begin = 0u; begin < params.rows; begin += THREADS) {
      load(begin, thread);
      for (var i = 0u; i < THREADS; i++) {
        count += select(0u, 1u, exists && tile[i] == e);
      }
    }
    counts[thread] = count;
    workgroupBarrier();
    var next = base;
    for (var i = 0u; i < THREADS; i++) {
      next += select(0u, counts[i], i < thread);
      base += counts[i];
    }
    if (exists) {
      start[e] = next;
    }
    for (var begin = 0u; begin < params.rows; begin += THREADS) {
      load(begin, thread);
      for (var i = 0u; i < THREADS; i++) {
        if (exists && tile[i] == e) {
          order[next] = begin + i;
          next++;
        }
      }
    }
  }
  if (thread == 0) {
    start[params.experts] = base;
  }
}
