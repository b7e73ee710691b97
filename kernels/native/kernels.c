/* All kernels for one instruction set: compiled once for each, with KERNELS the name of its table. */
#include "append.c"
#include "attention.c"
#include "embed.c"
#include "input_backward.c"
#include "matmul.c"
#include "moe_group.c"
#include "moe_route.c"
#include "moe_row.c"
#include "norm.c"
#include "roof.c"
#include "sample.c"
#include "weight_backward.c"

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
    matmul_input_backward,
    matmul_weight_backward,
    matmul_table_backward,
    moe_input_backward,
    moe_weight_backward,
    embed_logits_backward,
    roof_read,
    roof_multiply_add,
    {0},
};
