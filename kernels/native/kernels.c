/* All kernels for one instruction set: compiled once for each, with KERNELS the name of its table. */
#include "activation.c"
#include "adamw.c"
#include "append.c"
#include "attention.c"
#include "attention_backward.c"
#include "embed.c"
#include "embed_gradient.c"
#include "input_backward.c"
#include "loss.c"
#include "matmul.c"
#include "moe_gate.c"
#include "moe_gradient.c"
#include "moe_group.c"
#include "moe_route.c"
#include "moe_row.c"
#include "muon.c"
#include "norm.c"
#include "norm_weight.c"
#include "polynomial.c"
#include "quant_dequantize.c"
#include "quant_embed.c"
#include "quant_matmul.c"
#include "quant_matrix.c"
#include "quant_row.c"
#include "roof.c"
#include "sample.c"
#include "squares.c"
#include "weight_backward.c"

const Kernel KERNELS[] = {
    embed_embed_forward,
    norm_norm_forward,
    matmul_matmul_forward,
    attention_append_forward,
    attention_attention_forward,
    attention_append_compact_forward,
    attention_attention_compact_forward,
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
    activation_gelu_forward,
    activation_dropout_forward,
    norm_norm_backward,
    norm_weight_backward,
    attention_query_backward,
    attention_key_backward,
    loss_cross_entropy_backward,
    moe_gate_forward,
    moe_balance_forward,
    moe_drop_forward,
    moe_gather_forward,
    moe_activation_backward,
    moe_route_backward,
    embed_embed_backward,
    embed_position_backward,
    optim_adamw_update,
    optim_momentum_update,
    optim_normalize_update,
    optim_orthogonal_update,
    optim_polynomial_update,
    reduce_squares_forward,
    quant_embed_forward,
    quant_matmul_forward,
    quant_up_forward,
    quant_down_forward,
    quant_up_row_forward,
    quant_down_row_forward,
    quant_logits_forward,
    quant_matrix_quantize,
    quant_matrix_dequantize,
    roof_read,
    roof_multiply_add,
    {0},
};
