/* ir_shape.c: the shape rule of every op, as text: arguments, the operation, the type or the message expected of it. An
 * op of ops.def without a row that succeeds fails the test; elementwise ones of one operand have theirs made for them. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

typedef struct Row {
    const char *op, *args, *operands, *expected; /* a type; or a part of the message, when it begins with '!' */
} Row;

static const Row rows[] = {
    /* sources */
    {"param", "", "{name=\"w\", kind=\"weight\", init=\"uniform\", scale=0.5} : f32[16,1,3,3]", "f32[16,1,3,3]"},
    {"param", "", "{name=\"w\"}", "!its type must be stated"},
    {"param", "", "{name=\"w\", init=\"random\"} : f32[]",
     "!init is \"random\"; it must be one of zeros|ones|uniform|normal"},
    {"param", "", "{name=1} : f32[]", "!attribute name is an integer; it must be a string"},
    {"param", "", ": f32[]", "!attribute name is missing"},
    {"input", "%x: u8[N,K,2]", NULL, "u8[N,K,2]"},
    {"scalar", "", "{name=\"lr\"} : f32[]", "f32[]"},
    {"constant", "", "{value=1} : f32[2]", "f32[2]"},
    {"constant", "", "{value=1.0, value=2.0} : f32[2]", "!attribute value is given twice"},
    {"draw", "%p: f32[]", "%p {stream=\"s\", distribution=\"bernoulli\", scope=\"self\"} : f32[N,1,1,1]",
     "f32[N,1,1,1]"},
    {"draw", "", "{stream=\"s\", distribution=\"normal\"} : f32[N,4]", "f32[N,4]"},
    {"draw", "%p: f32[N]", "%p {stream=\"s\", distribution=\"bernoulli\"} : f32[N]",
     "!operand 0 is f32[N]; it must have rank 0"},
    {"draw", "", "{stream=\"s\", distribution=\"gauss\"} : f32[]", "!must be one of normal|uniform|bernoulli"},

    /* elementwise: one rule, so its cases are spread over the ops */
    {"add", "%x: f32[N,4,4,8], %y: f32[8]", "%x, %y", "f32[N,4,4,8]"},
    {"add", "%x: f32[N,4], %y: f32[3]", "%x, %y", "!f32[N,4] and f32[3] do not broadcast"},
    {"add", "%x: f32[N,4]", "%x", "!1 operands; it takes 2"},
    {"add", "%x: i32[N], %y: f32[N]", "%x, %y", "!operand 0 is i32; it must be f32"},
    {"sub", "%x: f32[8], %y: f32[N,1]", "%x, %y", "f32[N,8]"},
    {"sub", "%x: f32[8], %y: f32[N]", "%x, %y", "!do not broadcast"},
    {"mul", "%x: f32[N,1,1,8], %y: f32[1,4,4,1]", "%x, %y", "f32[N,4,4,8]"},
    {"mul", "%x: f32[N,8], %y: f32[K,8]", "%x, %y", "!f32[N,8] and f32[K,8] do not broadcast"},
    {"div", "%x: f32[], %y: f32[]", "%x, %y", "f32[]"},
    {"max", "%x: f32[K,8], %y: f32[]", "%x, %y", "f32[K,8]"},
    {"min", "%x: f32[3,1], %y: f32[1,5]", "%x, %y", "f32[3,5]"},
    {"gt", "%x: f32[N,3], %y: f32[]", "%x, %y", "f32[N,3]"},
    {"select", "%c: f32[N,1], %x: f32[4], %y: f32[]", "%c, %x, %y", "f32[N,4]"},
    {"select", "%c: f32[N,1], %x: f32[4], %y: f32[5]", "%c, %x, %y", "!f32[N,4] and f32[5] do not broadcast"},
    {"exp", "%x: f32[]", "%x", "f32[]"},
    {"exp", "%x: u8[N]", "%x", "!operand 0 is u8; it must be f32"},
    {"tanh", "%x: f32[N,1,2,3,4,5]", "%x", "f32[N,1,2,3,4,5]"},
    {"add_n", "%x: f32[N], %y: f32[], %z: f32[1]", "%x, %y, %z", "f32[N]"},
    {"add_n", "", "", "!0 operands; it takes at least 1"},
    {"choose", "%c: f32[], %x: f32[N,4], %y: f32[N,4]", "%c, %x, %y", "f32[N,4]"},
    {"choose", "%c: f32[]", "%c", "!1 operands; it takes at least 2"},
    {"choose", "%c: f32[1], %x: f32[N,4]", "%c, %x", "!operand 0 is f32[1]; it must have rank 0"},
    {"choose", "%c: f32[], %x: f32[N,4], %y: f32[4]", "%c, %x, %y", "!one of f32[N,4] or f32[4] cannot be chosen"},
    {"one_hot", "%x: i32[N]", "%x {classes=10}", "f32[N,10]"},
    {"one_hot", "%x: f32[N]", "%x {classes=10}", "!operand 0 is f32; it must be i32"},
    {"one_hot", "%x: i32[N]", "%x {classes=0}", "!0 classes"},

    /* views */
    {"slice", "%x: f32[N,4,4,8]", "%x {axis=1, begin=1, end=4}", "f32[N,3,4,8]"},
    {"slice", "%x: f32[N,4]", "%x {axis=0, begin=0, end=1}", "!axis 0 has a symbolic extent"},
    {"slice", "%x: f32[N,4]", "%x {axis=1, begin=1, end=5}", "!elements 1 to 5 of an axis of 4"},
    {"slice", "%x: f32[N,4]", "%x {axis=2, begin=1, end=5}", "!axis 2 of a value of rank 2"},
    {"pad", "%x: f32[N,4]", "%x {axis=1, begin=2, end=0}", "f32[N,6]"},
    {"pad", "%x: f32[N,4]", "%x {axis=1, begin=-1, end=0}", "!padding of -1 and 0"},
    {"concat", "%x: f32[N,4,2], %y: f32[N,4,3]", "%x, %y {axis=2}", "f32[N,4,5]"},
    {"concat", "%x: f32[N,4,2], %y: f32[N,5,3]", "%x, %y {axis=2}", "!differ not only in axis 2"},
    {"concat", "%x: f32[N,4], %y: f32[N]", "%x, %y {axis=1}", "!operand 1 is f32[N]; it must have rank 2"},
    {"concat", "%x: f32[N,4], %y: f32[N,4]", "%x, %y {axis=0}", "!axis 0 has a symbolic extent"},
    {"index", "%x: f32[14,7]", "%x {axis=0, at=13}", "f32[7]"},
    {"index", "%x: f32[14,7]", "%x {axis=0, at=14}", "!element 14 of an axis of 14"},
    {"place", "%x: f32[7]", "%x {axis=0, at=3, size=14}", "f32[14,7]"},
    {"place", "%x: f32[7]", "%x {axis=1, at=3, size=14}", "f32[7,14]"},
    {"place", "%x: f32[7]", "%x {axis=2, at=3, size=14}", "!a new axis 2 in a value of rank 1"},
    {"place", "%x: f32[7]", "%x {axis=0, at=3, size=3}", "!element 3 of an axis of 3"},
    {"shuffle", "%x: f32[N,2,3,8]", "%x {groups=4}", "f32[N,2,3,8]"},
    {"shuffle", "%x: f32[N,2,3,8]", "%x {groups=3}", "!3 groups do not divide 8 channels"},
    {"reshape", "%x: f32[N,1,1,8]", "%x {shape=[-1,8]}", "f32[N,8]"},
    {"reshape", "%x: f32[K,2,3]", "%x {shape=[-2,6]}", "f32[K,6]"},
    {"reshape", "%x: f32[N,8]", "%x {shape=[8]}", "!f32[N,8] has not as many elements as f32[8]"},
    {"reshape", "%x: f32[8]", "%x {shape=[0]}", "!neither positive nor -1 (N) or -2 (K)"},
    {"broadcast", "%x: f32[8]", "%x {shape=[-1,4,4,8]}", "f32[N,4,4,8]"},
    {"broadcast", "%x: f32[N,8]", "%x {shape=[1,8]}", "!f32[N,8] does not broadcast to f32[1,8]"},
    {"broadcast", "%x: f32[2,8]", "%x {shape=[8]}", "!f32[2,8] does not broadcast to f32[8]"},
    {"flip_weight", "%x: f32[16,8,3,3]", "%x {groups=1}", "f32[8,16,3,3]"},
    {"flip_weight", "%x: f32[16,1,3,5]", "%x {groups=16}", "f32[16,1,3,5]"},
    {"flip_weight", "%x: f32[16,8,3,3]", "%x {groups=2}", "!2 groups; it takes 1"},
    {"dilate", "%x: f32[N,2,3,4]", "%x {stride=[2,1], size=[4,3]}", "f32[N,4,3,4]"},
    {"dilate", "%x: f32[N,2,3,4]", "%x {stride=[2,1], size=[5,3]}", "!height 2 at stride 2 cannot fill 5"},

    /* reductions */
    {"reduce_sum", "%x: f32[N,4,5,8]", "%x {axes=[1,2]}", "f32[N,8]"},
    {"reduce_sum", "%x: f32[N,4,5,8]", "%x {axes=[0,1,2], keep=true}", "f32[1,1,1,8]"},
    {"reduce_sum", "%x: f32[N,4]", "%x {axes=[]}", "f32[N,4]"},
    {"reduce_sum", "%x: f32[N,4]", "%x {axes=[1,0]}", "!axes must ascend"},
    {"reduce_sum", "%x: f32[N,4]", "%x {axes=[2]}", "!axis 2 of a value of rank 2"},
    {"reduce_sum", "%x: f32[K,4]", "%x {axes=[0]}", "!axis 0 is K, which only reduce_merge adds up"},
    {"reduce_max", "%x: f32[N,10]", "%x {axes=[1], keep=true}", "f32[N,1]"},
    {"reduce_partial", "%x: f32[N,4,5,8]", "%x {axes=[0,1,2]}", "f32[K,8]"},
    {"reduce_partial", "%x: f32[N,4,5,8]", "%x {axes=[1,2], keep=true}", "f32[K,1,1,1,8]"},
    {"reduce_partial", "%x: f32[4,N]", "%x {axes=[0]}", "!axis 0 is not N"},
    {"argmax", "%x: f32[14,7]", "%x", "f32[14]"},
    {"argmax", "%x: f32[7]", "%x", "f32[]"},
    {"argmax", "%x: f32[]", "%x", "!axis -1 of a value of rank 0"},
    {"argmax", "%x: f32[4,N]", "%x", "!axis 1 has a symbolic extent"},
    {"reduce_merge", "%x: f32[K,8]", "%x", "f32[8]"},
    {"reduce_merge", "%x: f32[N,8]", "%x", "!axis 0 is not K"},
    {"exchange", "%x: f32[K,8]", "%x", "f32[8]"},
    {"exchange", "%x: f32[N,8]", "%x", "!axis 0 is not K"},

    /* products and windows */
    {"conv2d", "%x: f32[N,32,32,3], %w: f32[48,3,3,3]",
     "%x, %w {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1}", "f32[N,32,32,48]"},
    {"conv2d", "%x: f32[N,31,32,16], %w: f32[16,1,3,5]",
     "%x, %w {stride=[2,2], pad=[2,4,2,4], dilation=[2,2], groups=16}", "f32[N,16,16,16]"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,3,1,7]", "%x, %w {stride=[1,2], pad=[0,3,0,3], dilation=[1,1], groups=1}",
     "f32[N,8,4,48]"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,4,3,3]", "%x, %w {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1}",
     "!the weight's number of input channels is 4; expected 3"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,1,3,3]", "%x, %w {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=2}",
     "!2 groups of 3 input and 48 output channels"},
    {"conv2d", "%x: f32[N,2,8,3], %w: f32[48,3,3,3]", "%x, %w {stride=[1,1], pad=[0,0,0,0], dilation=[1,1], groups=1}",
     "!a window of 3 does not fit in height 2 with padding 0 and 0"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,3,3,3]", "%x, %w {stride=[1,1], pad=[1,1], dilation=[1,1], groups=1}",
     "!pad has 2 entries; it must have 4"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,3,3,3]", "%x, %w {stride=[0,1], pad=[1,1,1,1], dilation=[1,1], groups=1}",
     "!stride contains 0; the least is 1"},
    {"conv2d", "%x: f32[8,8,3], %w: f32[48,3,3,3]", "%x, %w {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1}",
     "!operand 0 is f32[8,8,3]; it must have rank 4"},
    {"conv2d", "%x: f32[N,8,8,3], %w: f32[48,3,N,3]", "%x, %w {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1}",
     "!the weight has a symbolic extent"},
    {"conv2d_grad_input", "%dy: f32[N,16,16,48], %w: f32[48,3,3,3]",
     "%dy, %w {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, size=[31,32]}", "f32[N,31,32,3]"},
    {"conv2d_grad_input", "%dy: f32[N,16,16,48], %w: f32[48,3,3,3]",
     "%dy, %w {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, size=[33,32]}",
     "!the height of operand 0 is 16; expected 17"},
    {"conv2d_grad_input", "%dy: f32[N,16,16,32], %w: f32[48,3,3,3]",
     "%dy, %w {stride=[2,2], pad=[1,1,1,1], dilation=[1,1], groups=1, size=[31,32]}",
     "!the weight's number of output channels is 48; expected 32"},
    {"conv2d_grad_weight", "%dy: f32[N,8,8,16], %x: f32[N,8,8,16]",
     "%dy, %x {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=16, kernel=[3,3]}", "f32[16,1,3,3]"},
    {"conv2d_grad_weight", "%dy: f32[N,8,8,16], %x: f32[N,8,8,4]",
     "%dy, %x {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1, kernel=[3,3], partial=true}", "f32[K,16,4,3,3]"},
    {"conv2d_grad_weight", "%dy: f32[N,8,8,16], %x: f32[N,8,8,4]",
     "%dy, %x {stride=[1,1], pad=[1,1,1,1], dilation=[1,1], groups=1, kernel=[5,3]}",
     "!the height of operand 0 is 8; expected 6"},
    {"matmul", "%x: f32[N,64], %w: f32[10,64]", "%x, %w {tb=true}", "f32[N,10]"},
    {"matmul", "%x: f32[N,64], %w: f32[64,10]", "%x, %w", "f32[N,10]"},
    {"matmul", "%x: f32[N,64], %w: f32[10,64]", "%x, %w", "!the inner extent of operand 1 is 10; expected 64"},
    {"matmul", "%x: f32[N,64], %w: f32[N,10]", "%x, %w {ta=true}", "f32[64,10]"},
    {"matmul", "%x: f32[N,64], %w: f32[N,10]", "%x, %w {ta=true, partial=true}", "f32[K,64,10]"},
    {"matmul", "%x: f32[N,64], %w: f32[64,10]", "%x, %w {partial=true}", "!partial, but what is added up is not N"},
    {"max_pool", "%x: f32[N,32,32,16]", "%x {kernel=[3,3], stride=[2,2], pad=[1,1,1,1]}", "f32[N,16,16,16]"},
    {"max_pool", "%x: f32[N,32,32,16]", "%x {kernel=[3,3], stride=[2,2], pad=[1,3,1,1]}",
     "!padding 3 leaves a window of 3 with nothing but padding"},
    {"max_pool_index", "%x: f32[N,32,32,16]", "%x {kernel=[3,3], stride=[1,1], pad=[1,1,1,1]}", "u8[N,32,32,16]"},
    {"max_pool_index", "%x: f32[N,32,32,16]", "%x {kernel=[16,17], stride=[1,1], pad=[0,0,0,0]}",
     "!a window of 272 positions"},
    {"max_pool_grad", "%dy: f32[N,16,16,8], %i: u8[N,16,16,8]",
     "%dy, %i {kernel=[3,3], stride=[2,2], pad=[1,1,1,1], size=[32,31]}", "f32[N,32,31,8]"},
    {"max_pool_grad", "%dy: f32[N,16,16,8], %i: u8[N,16,16,9]",
     "%dy, %i {kernel=[3,3], stride=[2,2], pad=[1,1,1,1], size=[32,31]}", "!operand 1 must be the index"},
    {"avg_pool", "%x: f32[N,8,8,16]", "%x {kernel=[5,5], stride=[3,3], pad=[0,0,0,0]}", "f32[N,2,2,16]"},
    {"avg_pool_grad", "%dy: f32[N,2,2,16]", "%dy {kernel=[5,5], stride=[3,3], pad=[0,0,0,0], size=[8,8]}",
     "f32[N,8,8,16]"},
    {"avg_pool_grad", "%dy: f32[N,2,2,16]", "%dy {kernel=[5,5], stride=[3,3], pad=[0,0,0,0], size=[8]}",
     "!size has 1 entries; it must have 2"},

    /* effects */
    {"assign", "%x: f32[16]", "%x {param=\"w\"}", "f32[16]"},
    {"assign", "%x: f32[16], %c: f32[]", "%x, %c {param=\"w\", cases=[0,3]}", "f32[16]"},
    {"assign", "%x: f32[16], %c: f32[]", "%x, %c {param=\"w\"}", "!2 operands; it takes 1"},
    {"assign", "%x: f32[16]", "%x {param=\"w\", cases=[0]}", "!1 operands; it takes 2 with cases"},
    {"assign", "%x: f32[16], %c: f32[]", "%x, %c {param=\"w\", cases=[3,3]}", "!cases ascend and are 0 to 63"},
    {"assign", "%x: f32[16], %c: f32[]", "%x, %c {param=\"w\", cases=[64]}", "!cases ascend and are 0 to 63"},
    {"assign", "%x: f32[16], %c: f32[]", "%x, %c {param=\"w\", cases=[]}", "!cases are missing"},

    /* high level */
    {"call", "%x: f32[N,4]", "%x {callee=@half, name=\"a\"}", "f32[N,2]"},
    {"call", "%x: f32[N,4]", "%x {callee=@nowhere, name=\"a\"}", "!there is no graph @nowhere"},
    {"call", "%x: f32[N,5]", "%x {callee=@half, name=\"a\"}", "!argument 0 of @half is f32[N,5]; it takes f32[N,4]"},
    {"call", "%x: f32[N,4]", "%x, %x {callee=@half, name=\"a\"}", "!@half takes 1 arguments, not 2"},
    {"call", "%x: f32[N,4]", "%x {callee=[@half, @half], name=\"a\"}", "!callee has 2 names; it must have 1"},
    {"call", "%x: f32[N,4]", "%x {callee=@two, name=\"a\"}", "!@two has 2 outputs; a function has one"},
    {"mixed", "%x: f32[N,4], %w: f32[2]", "%x, %w {candidates=[@half, @last], name=\"a\"}", "f32[N,2]"},
    {"mixed", "%x: f32[N,4], %w: f32[3]", "%x, %w {candidates=[@half, @last], name=\"a\"}",
     "!the number of weights is 3; expected 2"},
    {"mixed", "%x: f32[N,4], %w: f32[2]", "%x, %w {candidates=[@half, @same], name=\"a\"}",
     "!candidate @half gives f32[N,2], @same gives f32[N,4]"},
    {"mixed", "%x: f32[N,4], %w: f32[2]", "%x, %w {candidates=[], name=\"a\"}", "!no candidates"},
    {"in_training", "%x: f32[N,4]", "%x {callee=@same, name=\"\"}", "f32[N,4]"},
    {"gumbel", "%x: f32[14,7]", "{stream=\"gumbel.a\"} : f32[14,7]", "f32[14,7]"},
    {"deviation", "%x: f32[N,8,8,4]", "%x", "f32[]"},
    {"deviation", "%x: i32[N]", "%x", "!f32"},
    {"dropout", "%x: f32[N,4]", "%x {name=\"2\", probability=0.5}", "f32[N,4]"},
    {"perturb", "%x: f32[14,7]", "%x {name=\"alphas_normal\"}", "f32[14,7]"},
    {"drop_path", "%x: f32[N,4]", "%x {stream=\"mask\", scope=\"self\"}", "f32[N,4]"},
    {"auxiliary", "%x: f32[N,4]", "%x {callee=@half, name=\"auxiliary_head\", weight=0.4}", "f32[N,2]"},
    {"batch_norm", "%x: f32[N,4,4,8]", "%x {name=\"bn\", eps=1e-5, momentum=0.1, affine=false}", "f32[N,4,4,8]"},
    {"batch_norm", "%x: f32[N,4,4,8]", "%x {name=\"bn\", eps=1e-5, momentum=0.1}", "!attribute affine is missing"},
    {"softmax", "%x: f32[14,7]", "%x", "f32[14,7]"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N]", "%x, %y {smoothing=0.1}", "f32[]"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N], %z: f32[10]", "%x, %y, %z", "f32[]"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N], %z: f32[9]", "%x, %y, %z",
     "!the number of weights is 9; expected 10"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N], %z: f32[1,10]", "%x, %y, %z",
     "!operand 2 is f32[1,10]; it must have rank 1"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N], %z: f32[10]", "%x, %y, %z, %z", "!4 operands; it takes 2 or 3"},
    {"cross_entropy", "%x: f32[N,10], %y: f32[N,10]", "%x, %y", "f32[]"},
    {"cross_entropy", "%x: f32[N,10], %y: f32[N,9]", "%x, %y", "!the number of classes is 9; expected 10"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[N,10]", "%x, %y", "!operand 1 is i32; it must be f32"},
    {"cross_entropy", "%x: f32[N,10], %y: f32[N,2,5]", "%x, %y", "!operand 1 is f32[N,2,5]; it must have rank 2"},
    {"cross_entropy", "%x: f32[N,10], %y: f32[N]", "%x, %y", "!operand 1 is f32; it must be i32"},
    {"cross_entropy", "%x: f32[N,10], %y: i32[K]", "%x, %y", "!the number of labels is K; expected N"},
};

static const char functions[] =
    "graph @half(%x: f32[N,4]) -> f32[N,2] {\n  %1 = slice %x {axis=1, begin=0, end=2}\n  return %1\n}\n"
    "graph @last(%x: f32[N,4]) -> f32[N,2] {\n  %1 = slice %x {axis=1, begin=2, end=4}\n  return %1\n}\n"
    "graph @same(%x: f32[N,4]) -> f32[N,4] {\n  return %x\n}\n"
    "graph @two(%x: f32[N,4]) {\n  return \"a\" = %x, \"b\" = %x\n}\n";

/* Parses one graph with the row's operation at its end; NULL with the messages in *messages when that is refused. */
static const IrNode *parse_row(Arena *arena, const Row *row, char **messages) {
    size_t size;
    FILE *out = open_memstream(messages, &size);
    const char *node = row->operands ? arena_printf(arena, "  %%r = %s %s\n", row->op, row->operands) : "";
    const char *text = arena_printf(arena, "%sgraph @t(%s) {\n%s  return\n}\n", functions, row->args, node);
    SourceFile source = {"row.ir", text, strlen(text)};
    IrModule *module = ir_parse_module(arena, &source, diag_create(arena, out));
    fclose(out);
    return module ? ir_graph_find(module, "t")->last : NULL;
}

static void check_row(const Row *row) {
    Arena *arena = arena_create();
    char *messages;
    const IrNode *node = parse_row(arena, row, &messages);
    bool refused = row->expected[0] == '!';
    if (!node && !(refused && strstr(messages, row->expected + 1)))
        fail_msg("%s %s: expected %s, got\n%s", row->op, row->operands, row->expected, messages);
    if (node && (refused || !str_equal(ir_type_string(arena, &node->type), row->expected)))
        fail_msg("%s %s: expected %s, got %s", row->op, row->operands, row->expected,
                 ir_type_string(arena, &node->type));
    if (node)
        assert_string_equal(ir_op_info[node->op].name, row->op);
    free(messages);
    arena_destroy(arena);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

static bool has_row(const char *op) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (str_equal(rows[i].op, op) && rows[i].expected[0] != '!')
            return true;
    return false;
}

static void test_every_op_has_a_row(void **state) {
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        const IrOpInfo *info = &ir_op_info[op];
        if ((info->flags & OP_ELEMENTWISE) && info->inputs == 1)
            check_row(&(Row){info->name, "%x: f32[N,3]", "%x", "f32[N,3]"});
        else if (!has_row(info->name))
            fail_msg("no row for %s", info->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_every_op_has_a_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
