/* onnx_build.c: ONNX messages, filled in and written by protobuf-c. */
#ifdef NDARTS_HAVE_PROTOBUF_C

#include "runtime/exchange/onnx_build.h"

#include "base/file.h"
#include "base/tensor_file.h"

#include <string.h>

#define NEW_MESSAGE(b, Type, init)                                                                                     \
    ({                                                                                                                 \
        Type *message_ = ARENA_NEW((b)->arena, Type);                                                                  \
        init(message_);                                                                                                \
        message_;                                                                                                      \
    })

void onnx_begin(OnnxBuilder *b, Arena *arena, const char *name) {
    *b = (OnnxBuilder){.arena = arena};
    onnx__graph_proto__init(&b->graph);
    b->graph.name = arena_strdup(arena, name);
}

const char *onnx_node(OnnxBuilder *b, const char *op, int input_count, const char *const *inputs) {
    Onnx__NodeProto *node = NEW_MESSAGE(b, Onnx__NodeProto, onnx__node_proto__init);
    node->op_type = arena_strdup(b->arena, op);
    node->n_input = (size_t)input_count;
    node->input = ARENA_ARRAY(b->arena, char *, input_count + 1);
    for (int i = 0; i < input_count; i++)
        node->input[i] = arena_strdup(b->arena, inputs[i]);
    node->n_output = 1;
    node->output = ARENA_ARRAY(b->arena, char *, 1);
    node->output[0] = node->name = arena_printf(b->arena, "/v%d", b->serial++);
    ARENA_PUSH(b->arena, b->graph.node, b->graph.n_node, b->node_capacity, node);
    b->node = node;
    b->attribute_capacity = 0;
    return node->output[0];
}

void onnx_rename(OnnxBuilder *b, const char *name) {
    b->node->output[0] = b->node->name = arena_strdup(b->arena, name);
}

static Onnx__AttributeProto *new_attribute(OnnxBuilder *b, const char *name, Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *attribute = NEW_MESSAGE(b, Onnx__AttributeProto, onnx__attribute_proto__init);
    attribute->name = arena_strdup(b->arena, name);
    attribute->has_type = true;
    attribute->type = type;
    ARENA_PUSH(b->arena, b->node->attribute, b->node->n_attribute, b->attribute_capacity, attribute);
    return attribute;
}

void onnx_int(OnnxBuilder *b, const char *name, int64_t value) {
    Onnx__AttributeProto *attribute = new_attribute(b, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = true;
    attribute->i = value;
}

static int64_t *copy_ints(OnnxBuilder *b, int count, const int64_t *values) {
    int64_t *copy = ARENA_ARRAY(b->arena, int64_t, count + 1);
    if (count)
        memcpy(copy, values, sizeof(*copy) * (size_t)count);
    return copy;
}

void onnx_ints(OnnxBuilder *b, const char *name, int count, const int64_t *values) {
    Onnx__AttributeProto *attribute = new_attribute(b, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = (size_t)count;
    attribute->ints = copy_ints(b, count, values);
}

/* ---- initialisers ---- */

static void add_initializer(OnnxBuilder *b, const char *name, int type, int rank, const int64_t *dims, const void *data,
                            size_t element) {
    Onnx__TensorProto *tensor = NEW_MESSAGE(b, Onnx__TensorProto, onnx__tensor_proto__init);
    size_t size = element;
    for (int i = 0; i < rank; i++)
        size *= (size_t)dims[i];
    tensor->name = arena_strdup(b->arena, name);
    tensor->n_dims = (size_t)rank;
    tensor->dims = copy_ints(b, rank, dims);
    tensor->has_data_type = tensor->has_raw_data = true;
    tensor->data_type = type;
    tensor->raw_data = (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
    ARENA_PUSH(b->arena, b->graph.initializer, b->graph.n_initializer, b->initializer_capacity, tensor);
}

void onnx_floats(OnnxBuilder *b, const char *name, int rank, const int64_t *dims, const float *data) {
    add_initializer(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims, data, sizeof *data);
}

const char *onnx_int_list(OnnxBuilder *b, int count, const int64_t *values) {
    const char *name = arena_printf(b->arena, "/v%d", b->serial++);
    const int64_t dim = count;
    add_initializer(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &dim, copy_ints(b, count, values),
                    sizeof *values);
    return name;
}

const char *onnx_float(OnnxBuilder *b, double value) {
    const char *name = arena_printf(b->arena, "/v%d", b->serial++);
    float *data = ARENA_NEW(b->arena, float);
    *data = (float)value;
    onnx_floats(b, name, 0, NULL, data);
    return name;
}

/* ---- what goes in and out ---- */

static Onnx__TensorShapeProto__Dimension *new_dimension(OnnxBuilder *b, int64_t extent) {
    Onnx__TensorShapeProto__Dimension *dim =
        NEW_MESSAGE(b, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
    if (extent < 0) {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = arena_strdup(b->arena, "N");
    } else {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = extent;
    }
    return dim;
}

static Onnx__ValueInfoProto *new_value(OnnxBuilder *b, const char *name, int rank, const int64_t *dims) {
    Onnx__ValueInfoProto *value = NEW_MESSAGE(b, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    Onnx__TypeProto *type = NEW_MESSAGE(b, Onnx__TypeProto, onnx__type_proto__init);
    Onnx__TypeProto__Tensor *tensor = NEW_MESSAGE(b, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    Onnx__TensorShapeProto *shape = NEW_MESSAGE(b, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    shape->n_dim = (size_t)rank;
    shape->dim = ARENA_ARRAY(b->arena, Onnx__TensorShapeProto__Dimension *, rank + 1);
    for (int i = 0; i < rank; i++)
        shape->dim[i] = new_dimension(b, dims[i]);
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    value->name = arena_strdup(b->arena, name);
    value->type = type;
    return value;
}

void onnx_input(OnnxBuilder *b, const char *name, int rank, const int64_t *dims) {
    ARENA_PUSH(b->arena, b->graph.input, b->graph.n_input, b->input_capacity, new_value(b, name, rank, dims));
}

void onnx_output(OnnxBuilder *b, const char *name, int rank, const int64_t *dims) {
    ARENA_PUSH(b->arena, b->graph.output, b->graph.n_output, b->output_capacity, new_value(b, name, rank, dims));
}

/* ---- the file ---- */

bool onnx_write(OnnxBuilder *b, const char *path, Error *error) {
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = {&opset};
    opset.domain = "";
    opset.has_version = true;
    opset.version = ONNX_OPSET;
    model.has_ir_version = true;
    model.ir_version = ONNX_IR_VERSION;
    model.producer_name = "ndarts";
    model.producer_version = NDARTS_VERSION;
    model.graph = &b->graph;
    model.n_opset_import = 1;
    model.opset_import = opsets;
    size_t size = onnx__model_proto__get_packed_size(&model);
    if (size > INT32_MAX)
        return error_set(error, ERROR_INPUT, "%s: a protocol buffer of %zu bytes cannot be read by anybody", path,
                         size);
    uint8_t *bytes = arena_alloc(b->arena, size);
    onnx__model_proto__pack(&model, bytes);
    return file_write_atomic(path, bytes, size, error);
}

#endif
