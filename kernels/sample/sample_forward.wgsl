// One workgroup a row. Filters are thresholds on a score's distance below the best; as a non-negative f32 its bits
// order as the number does, so each threshold is found four bits at a time, without sorting.

struct Params {
  rows: u32, vocabulary: u32, allowed: u32, top_k: u32,
  temperature: f32, top_p: f32, min_p: f32, penalty: f32,
  seed_low: u32, seed_high: u32, stream: u32,
}

override THREADS: u32 = 64;
const LOWEST = -3.4e38;

@group(0) @binding(0) var<storage, read> logits: array<f32>; // [B, V]
@group(0) @binding(1) var<storage, read_write> seen: array<u32>; // [B, V]
@group(0) @binding(2) var<storage, read_write> token: array<u32>; // [B]
@group(0) @binding(3) var<storage, read_write> pos: array<u32>; // [B]
@group(0) @binding(4) var<storage, read_write> logprob: array<f32>; // [B]
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> values: array<vec4f, THREADS * 4>;
var<private> thread: u32;
var<private> base: u32; // where the row starts
var<private> best: f32; // highest penalised logit of a token that may be drawn

fn penalised(v: u32) -> f32 {
  let z = logits[base + v];
  return select(z, select(z * params.penalty, z / params.penalty, z > 0), seen[base + v] != 0);
}

// How far token v lies below the best, as ordered bits.
fn key(v: u32) -> u32 { return bitcast<u32>(abs((penalised(v) - best) / params.temperature)); }

fn weight(key: u32) -> f32 { return exp(-bitcast<f32>(key)); }

// The weight of tokens begin, begin + stride, … below `end` whose keys are up to `kept`.
fn mass(begin: u32, end: u32, stride: u32, kept: u32) -> f32 {
  var sum = 0.0;
  for (var v = begin; v < end; v += stride) { sum += select(0.0, weight(key(v)), key(v) <= kept); }
  return sum;
}

// Sum over all threads, in one order.
fn total(value: f32) -> f32 {
  workgroupBarrier();
  values[thread] = vec4f(value, 0, 0, 0);
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < THREADS; i++) { sum += values[i].x; }
  return sum;
}

// The smallest key such that tokens of keys up to it, counted or weighed, reach `goal`; at most `most`.
fn reach(weigh: bool, most: u32, goal: f32) -> u32 {
  var low = 0u;
  for (var shift = 28i; shift >= 0; shift -= 4) {
    let step = 1u << u32(shift);
    var sums = array<vec4f, 4>();
    for (var v = thread; v < params.allowed; v += THREADS) {
      let k = key(v);
      let w = select(0.0, select(1.0, weight(k), weigh), k <= most);
      for (var j = 0u; j < 4; j++) {
        let bounds = low + (vec4u(1, 2, 3, 4) + 4 * j) * step - 1;
        sums[j] += select(vec4f(), vec4f(w), vec4u(k) <= bounds);
      }
    }
    workgroupBarrier();
    for (var j = 0u; j < 4; j++) { values[j * THREADS + thread] = sums[j]; }
    workgroupBarrier();
    var short = vec4u();
    for (var j = 0u; j < 4; j++) {
      var sum = vec4f();
      for (var i = 0u; i < THREADS; i++) { sum += values[j * THREADS + i]; }
      short += select(vec4u(), vec4u(1), sum < vec4f(goal));
    }
    low += min(short.x + short.y + short.z + short.w, 15) * step;
  }
  return min(low, most);
}

fn multiply(a: u32, b: u32) -> vec2u { // high and low word
  let mid = (a >> 16) * (b & 0xffff) + (((a & 0xffff) * (b & 0xffff)) >> 16);
  let carry = (a & 0xffff) * (b >> 16) + (mid & 0xffff);
  return vec2u((a >> 16) * (b >> 16) + (mid >> 16) + (carry >> 16), a * b);
}

// Row b's number in [0, 1), from word 0 of Philox 4×32-10.
fn draw(b: u32) -> f32 {
  var c = vec4u(pos[b], params.stream + b, 0, 0);
  for (var round = 0u; round < 10; round++) {
    let k = vec2u(params.seed_low, params.seed_high) + round * vec2u(0x9e3779b9, 0xbb67ae85);
    let p = multiply(0xd2511f53, c.x);
    let q = multiply(0xcd9e8d57, c.z);
    c = vec4u(q.x ^ c.y ^ k.x, q.y, p.x ^ c.w ^ k.y, p.y);
  }
  return f32(c.x >> 8) * 0x1p-24;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let b = group.x;
  if (b >= params.rows) { return; }
  thread = index;
  base = b * params.vocabulary;
  var top = vec3f(LOWEST, LOWEST, 0); // raw logit, penalised logit that may be drawn, its token
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    top.x = max(top.x, logits[base + v]);
    let z = penalised(v);
    if (v < params.allowed && z > top.y) { top = vec3f(top.x, z, f32(v)); }
  }
  values[thread] = vec4f(top, 0);
  workgroupBarrier();
  for (var i = 0u; i < THREADS; i++) {
    let other = values[i];
    top.x = max(top.x, other.x);
    if (other.y > top.y || (other.y == top.y && other.z < top.z)) { top = vec3f(top.x, other.yz); }
  }
  best = top.y;
  var choice = u32(top.z);
  var sum = 0.0;
  for (var v = thread; v < params.vocabulary; v += THREADS) { sum += exp(logits[base + v] - top.x); }
  let normaliser = top.x + log(total(sum));
  if (params.temperature > 0) {
    let count = params.allowed;
    var kept = 0xffffffffu;
    if (params.top_k > 0 && params.top_k < count) { kept = reach(false, kept, f32(params.top_k)); }
    if (params.top_p < 1) { kept = reach(true, kept, params.top_p * total(mass(thread, count, THREADS, kept))); }
    if (params.min_p > 0) { kept = min(kept, bitcast<u32>(abs(log(params.min_p)))); }
    // Each thread weighs a run of tokens; the run that holds the draw is then walked.
    let run = (count + THREADS - 1) / THREADS;
    var rest = total(mass(thread * run, min((thread + 1) * run, count), 1, kept)) * draw(b);
    var owner = vec2f(0, rest);
    for (var i = 0u; i < THREADS; i++) {
      if (values[i].x > 0 && rest >= 0) { owner = vec2f(f32(i), rest); }
      rest -= values[i].x;
    }
    let first = u32(owner.x) * run;
    for (var v = first; v < min(first + run, count) && owner.y >= 0 && thread == 0; v++) {
      let w = select(0.0, weight(key(v)), key(v) <= kept);
      if (w > 0) { choice = v; }
      owner.y -= w;
    }
  }
  storageBarrier(); // all threads have read pos and seen
  if (thread == 0) {
    token[b] = choice;
    logprob[b] = logits[base + choice] - normaliser;
    pos[b]++;
    seen[base + choice] = 1;
  }
}
