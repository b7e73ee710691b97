// One workgroup a row. Filters are thresholds on a score's distance below the best; as a non-negative f32 its bits
// order as the number does, so each threshold is found four bits at a time, without sorting.

struct Params {
  rows: u32,
  vocabulary: u32,
  allowed: u32,
  top_k: u32,
  temperature: f32,
  top_p: f32,
  min_p: f32,
  penalty: f32,
  seed_low: u32,
  seed_high: u32,
  stream: u32,
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
var<workgroup> places: array<u32, THREADS>;

fn penalised(i: u32) -> f32 {
  let z = logits[i];
  if (seen[i] == 0) {
    return z;
  }
  return select(z * params.penalty, z / params.penalty, z > 0);
}

// How far token v lies below the best, as ordered bits.
fn key(i: u32, best: f32) -> u32 {
  return bitcast<u32>(abs((penalised(i) - best) / params.temperature));
}

fn weight(key: u32) -> f32 {
  return exp(-bitcast<f32>(key));
}

// Sum over all threads, in one order.
fn total(thread: u32, value: f32) -> f32 {
  workgroupBarrier();
  values[thread].x = value;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < THREADS; i++) {
    sum += values[i].x;
  }
  return sum;
}

// The smallest key such that tokens of keys up to it, counted or weighed, reach `goal`; at most `most`.
fn reach(thread: u32, base: u32, best: f32, weigh: bool, most: u32, goal: f32) -> u32 {
  var low = 0u;
  for (var shift = 28i; shift >= 0; shift -= 4) {
    let step = 1u << u32(shift);
    let offsets = vec4u(1, 2, 3, 4) * step - 1;
    var sums = array<vec4f, 4>();
    for (var v = thread; v < params.allowed; v += THREADS) {
      let k = key(base + v, best);
      if (k <= most) {
        let w = select(1.0, weight(k), weigh);
        sums[0] += select(vec4f(), vec4f(w), vec4u(k) <= low + offsets);
        sums[1] += select(vec4f(), vec4f(w), vec4u(k) <= low + 4 * step + offsets);
        sums[2] += select(vec4f(), vec4f(w), vec4u(k) <= low + 8 * step + offsets);
        sums[3] += select(vec4f(), vec4f(w), vec4u(k) <= low + 12 * step + offsets);
      }
    }
    workgroupBarrier();
    for (var j = 0u; j < 4; j++) {
      values[j * THREADS + thread] = sums[j];
    }
    workgroupBarrier();
    var below = 0u;
    for (var j = 0u; j < 4; j++) {
      var sum = vec4f();
      for (var i = 0u; i < THREADS; i++) {
        sum += values[j * THREADS + i];
      }
      let short = select(vec4u(), vec4u(1), sum < vec4f(goal));
      below += short.x + short.y + short.z + short.w;
    }
    low += min(below, 15) * step;
  }
  return min(low, most);
}

fn multiply(a: u32, b: u32) -> vec2u { // high, low
  let al = a & 0xffff;
  let ah = a >> 16;
  let bl = b & 0xffff;
  let bh = b >> 16;
  let mid = ah * bl + ((al * bl) >> 16);
  let mid2 = al * bh + (mid & 0xffff);
  return vec2u(ah * bh + (mid >> 16) + (mid2 >> 16), a * b);
}

// A number in [0, 1) from word 0 of Philox 4×32-10.
fn draw(counter: vec2u) -> f32 {
  var c = vec4u(counter, 0, 0);
  var k = vec2u(params.seed_low, params.seed_high);
  for (var round = 0; round < 10; round++) {
    let p = multiply(0xd2511f53, c.x);
    let q = multiply(0xcd9e8d57, c.z);
    c = vec4u(q.x ^ c.y ^ k.x, q.y, p.x ^ c.w ^ k.y, p.y);
    k += vec2u(0x9e3779b9, 0xbb67ae85);
  }
  return f32(c.x >> 8) * 0x1p-24;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let b = group.x;
  if (b >= params.rows) {
    return;
  }
  let base = b * params.vocabulary;
  var top = LOWEST; // of the raw logits
  var best = LOWEST; // of those that may be drawn, penalised
  var choice = 0u;
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    top = max(top, logits[base + v]);
    if (v < params.allowed) {
      let z = penalised(base + v);
      if (z > best) {
        best = z;
        choice = v;
      }
    }
  }
  values[thread] = vec4f(top, best, 0, 0);
  places[thread] = choice;
  workgroupBarrier();
  for (var i = 0u; i < THREADS; i++) {
    let value = values[i];
    top = max(top, value.x);
    if (value.y > best || (value.y == best && places[i] < choice)) {
      best = value.y;
      choice = places[i];
    }
  }
  var part = 0.0;
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    part += exp(logits[base + v] - top);
  }
  let normaliser = top + log(total(thread, part));

  if (params.temperature > 0) {
    var kept = 0xffffffffu;
    if (params.top_k > 0 && params.top_k < params.allowed) {
      kept = reach(thread, base, best, false, kept, f32(params.top_k));
    }
    if (params.top_p < 1) {
      part = 0;
      for (var v = thread; v < params.allowed; v += THREADS) {
        let k = key(base + v, best);
        part += select(0.0, weight(k), k <= kept);
      }
      kept = reach(thread, base, best, true, kept, params.top_p * total(thread, part));
    }
    if (params.min_p > 0) {
      kept = min(kept, bitcast<u32>(abs(log(params.min_p))));
    }
    // Each thread weighs a run of tokens; the run that holds the draw is then walked.
    let run = (params.allowed + THREADS - 1) / THREADS;
    part = 0;
    for (var v = thread * run; v < min((thread + 1) * run, params.allowed); v++) {
      let k = key(base + v, best);
      part += select(0.0, weight(k), k <= kept);
    }
    let all = total(thread, part);
    if (thread == 0) {
      var rest = draw(vec2u(pos[b], params.stream + b)) * all;
      var left = rest;
      var owner = 0u;
      for (var i = 0u; i < THREADS; i++) {
        let mass = values[i].x;
        if (mass > 0) {
          owner = i;
          left = rest;
          if (rest < mass) {
            break;
          }
          rest -= mass;
        }
      }
      for (var v = owner * run; v < min((owner + 1) * run, params.allowed) && left >= 0; v++) {
        let k = key(base + v, best);
        if (k <= kept && weight(k) > 0) {
          choice = v;
          left -= weight(k);
        }
      }
    }
  }
  if (thread == 0) {
    token[b] = choice;
    logprob[b] = logits[base + choice] - normaliser;
    pos[b]++;
    seen[base + choice] = 1;
  }
}
