/* All kernels for one instruction set: compiled once for each, with KERNELS the name of its table. */
#include "append.c"
#include "attention.c"
#include "embed.c"
#include "matmul.c"
#include "moe_group.c"
#include "moe_route.c"
#include "moe_row.c"
#include "norm.c"
#include "roof.c"
#include "sample.c"

const Kernel KERNELS[] = {
    embed_embed_forward,
    norm_norm_forward,
    matmul_matmul_forward,
    attention_append_forward,
    attention_attention_forward,
    moe_route_forward,
    moe_order_forward,
    moe_up_forward,
    moe_down_forward,
    moe_up_row_forward,
    moe_down_row_forward,
    embed_logits_forward,
    sample_sample_forward,
    roof_read,
    roof_multiply_add,
    {0},
};
