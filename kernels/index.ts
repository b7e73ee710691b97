/** Every kernel. Engines, tests and benches find kernels here and nowhere else. */
import { appendForward } from "./attention/append_forward.ts";
import { attentionForward } from "./attention/attention_forward.ts";
import { embedForward } from "./embed/embed_forward.ts";
import { logitsForward } from "./embed/logits_forward.ts";
import type { Kernel } from "./kernel.ts";
import { matmulForward } from "./matmul/matmul_forward.ts";
import { downForward } from "./moe/down_forward.ts";
import { downRowForward } from "./moe/down_row_forward.ts";
import { orderForward } from "./moe/order_forward.ts";
import { routeForward } from "./moe/route_forward.ts";
import { upForward } from "./moe/up_forward.ts";
import { upRowForward } from "./moe/up_row_forward.ts";
import { normForward } from "./norm/norm_forward.ts";
import { sampleForward } from "./sample/sample_forward.ts";

export const kernels: readonly Kernel[] = [
  embedForward,
  normForward,
  matmulForward,
  appendForward,
  attentionForward,
  routeForward,
  orderForward,
  upForward,
  downForward,
  upRowForward,
  downRowForward,
  logitsForward,
  sampleForward,
];
