// One thread the inputs of one word: 8 of 4 bits, 4 of 8 bits.

struct Params {
  inner: u32,
  cols: u32,
  index: u32,
  bits: u32,
  group: u32,
}

@group(0) @binding(0) var<storage, read> words: array<u32>; // [matrices, panels, blocks, words]
@group(0) @binding(1) var<storage, read_write> w: array<f32>; // [K, N] in panels
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let each = 32 / params.bits;
  let begin = id.y * each;
  if (n >= params.cols || begin >= params.inner) {
    return;
  }
  let blocks = (params.inner + params.group - 1) / params.group;
  let panels = (params.cols + 15) / 16;
  let block = (params.index * panels + n / 16) * blocks + begin / params.group;
  let first = block * (16 + params.group * params.bits / 2);
  let column = n % 16;
  let scale = unpack2x16float(words[first + column / 2])[column % 2];
  let minimum = unpack2x16float(words[first + 8 + column / 2])[column % 2];
  let word = words[first + 16 + begin % params.group / each * 16 + column];
  let panel = select(params.cols, 64, params.cols % 64 == 0);
  let to = (n / panel) * params.inner * panel + n % panel;
  for (var i = 0u; i < min(each, params.inner - begin); i++) {
    let shift = 8 * (i & 3) + (i & 4);
    w[to + (begin + i) * panel] = scale * f32(extractBits(word, shift, params.bits)) + minimum;
  }
}
