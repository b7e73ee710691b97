// One workgroup a row: its maximum, its total, its gradient.

struct Params {
  rows: u32,
  vocabulary: u32,
  at: u32,
  scale: f32,
}

override THREADS: u32 = 64;

@group(0) @binding(0) var<storage, read> targets: array<u32>; // [at + T]
@group(0) @binding(1) var<storage, read_write> logits: array<f32>; // [T, V]
@group(0) @binding(2) var<storage, read_write> nll: array<f32>; // [at + T], nats
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> parts: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let t = group.x;
  if (t >= params.rows) {
    return;
  }
  let begin = t * params.vocabulary;
  let wanted = targets[params.at + t];
  if (wanted >= params.vocabulary) {
    for (var v = thread; v < params.vocabulary; v += THREADS) {
      logits[begin + v] = 0;
    }
    if (thread == 0) {
      nll[params.at + t] = 0;
    }
    return;
  }

  var highest = -3.4e38;
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    highest = max(highest, logits[begin + v]);
  }
  parts[thread] = highest;
  workgroupBarrier();
  var top = -3.4e38;
  for (var i = 0u; i < THREADS; i++) {
    top = max(top, parts[i]);
  }
  workgroupBarrier();

  var sum = 0.0;
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    sum += exp(logits[begin + v] - top);
  }
  parts[thread] = sum;
  if (wanted % THREADS == thread) {
    // Of all threads, this one alone overwrites the wanted logit.
    nll[params.at + t] = top - logits[begin + wanted];
  }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < THREADS; i++) {
    total += parts[i];
  }
  if (wanted % THREADS == thread) {
    nll[params.at + t] += log(total);
  }

  let scale = params.scale / total;
  for (var v = thread; v < params.vocabulary; v += THREADS) {
    logits[begin + v] = exp(logits[begin + v] - top) * scale - select(0.0, params.scale, v == wanted);
  }
}
