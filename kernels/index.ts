/** Every kernel. Engines, tests and benches find kernels here and nowhere else. */

import { dropoutForward } from "./activation/dropout_forward.ts";
import { geluForward } from "./activation/gelu_forward.ts";
import { appendCompactForward } from "./attention/append_compact_forward.ts";
import { appendForward } from "./attention/append_forward.ts";
import { attentionCompactForward } from "./attention/attention_compact_forward.ts";
import { attentionForward } from "./attention/attention_forward.ts";
import { keyBackward } from "./attention/key_backward.ts";
import { queryBackward } from "./attention/query_backward.ts";
import { embedBackward } from "./embed/embed_backward.ts";
import { embedForward } from "./embed/embed_forward.ts";
import { logitsBackward } from "./embed/logits_backward.ts";
import { logitsForward } from "./embed/logits_forward.ts";
import { positionBackward } from "./embed/position_backward.ts";
import type { Kernel } from "./kernel.ts";
import { crossEntropyBackward } from "./loss/cross_entropy_backward.ts";
import { inputBackward } from "./matmul/input_backward.ts";
import { matmulForward } from "./matmul/matmul_forward.ts";
import { tableBackward } from "./matmul/table_backward.ts";
import { weightBackward } from "./matmul/weight_backward.ts";
import { activationBackward } from "./moe/activation_backward.ts";
import { balanceForward } from "./moe/balance_forward.ts";
import { downForward } from "./moe/down_forward.ts";
import { downRowForward } from "./moe/down_row_forward.ts";
import { dropForward } from "./moe/drop_forward.ts";
import { gateForward } from "./moe/gate_forward.ts";
import { gatherForward } from "./moe/gather_forward.ts";
import { inputBackward as expertInputBackward } from "./moe/input_backward.ts";
import { orderForward } from "./moe/order_forward.ts";
import { routeBackward } from "./moe/route_backward.ts";
import { routeForward } from "./moe/route_forward.ts";
import { upForward } from "./moe/up_forward.ts";
import { upRowForward } from "./moe/up_row_forward.ts";
import { weightBackward as expertWeightBackward } from "./moe/weight_backward.ts";
import { normBackward } from "./norm/norm_backward.ts";
import { normForward } from "./norm/norm_forward.ts";
import { weightBackward as normWeightBackward } from "./norm/weight_backward.ts";
import { adamwUpdate } from "./optim/adamw_update.ts";
import { momentumUpdate } from "./optim/momentum_update.ts";
import { normalizeUpdate } from "./optim/normalize_update.ts";
import { orthogonalUpdate } from "./optim/orthogonal_update.ts";
import { polynomialUpdate } from "./optim/polynomial_update.ts";
import { downForward as quantDownForward } from "./quant/down_forward.ts";
import { downRowForward as quantDownRowForward } from "./quant/down_row_forward.ts";
import { embedForward as quantEmbedForward } from "./quant/embed_forward.ts";
import { logitsForward as quantLogitsForward } from "./quant/logits_forward.ts";
import { matmulForward as quantMatmulForward } from "./quant/matmul_forward.ts";
import { matrixDequantize } from "./quant/matrix_dequantize.ts";
import { matrixQuantize } from "./quant/matrix_quantize.ts";
import { upForward as quantUpForward } from "./quant/up_forward.ts";
import { upRowForward as quantUpRowForward } from "./quant/up_row_forward.ts";
import { squaresForward } from "./reduce/squares_forward.ts";
import { sampleForward } from "./sample/sample_forward.ts";

export const kernels: readonly Kernel[] = [
  embedForward,
  normForward,
  matmulForward,
  appendForward,
  attentionForward,
  appendCompactForward,
  attentionCompactForward,
  routeForward,
  orderForward,
  upForward,
  downForward,
  upRowForward,
  downRowForward,
  logitsForward,
  sampleForward,
  dropoutForward,
  geluForward,
  keyBackward,
  queryBackward,
  embedBackward,
  logitsBackward,
  positionBackward,
  crossEntropyBackward,
  inputBackward,
  tableBackward,
  weightBackward,
  activationBackward,
  balanceForward,
  dropForward,
  gateForward,
  gatherForward,
  expertInputBackward,
  routeBackward,
  expertWeightBackward,
  normBackward,
  normWeightBackward,
  adamwUpdate,
  momentumUpdate,
  normalizeUpdate,
  orthogonalUpdate,
  polynomialUpdate,
  squaresForward,
  matrixQuantize,
  matrixDequantize,
  quantEmbedForward,
  quantMatmulForward,
  quantUpForward,
  quantDownForward,
  quantUpRowForward,
  quantDownRowForward,
  quantLogitsForward,
];
