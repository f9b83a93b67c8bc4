/* internal.h: what the files of ir/ share and nobody else needs. */
#ifndef NDARTS_IR_INTERNAL_H
#define NDARTS_IR_INTERNAL_H

#include "ir/ir.h"

enum { IR_TYPE_TEXT = 160, IR_ERROR_TEXT = 256 };

/* "f32[N,32]" into a buffer; returns the buffer. */
const char *ir_type_format(const IrType *type, char text[IR_TYPE_TEXT]);
const char *ir_dtype_name(IrDtype dtype);
const char *ir_attr_kind_name(IrAttrKind kind);

/* Puts a message in error and returns false. */
bool ir_fail(char error[IR_ERROR_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value and everything it points to, in the arena; the name is kept as it is. */
IrAttr ir_attr_copy(Arena *arena, const IrAttr *attr);
const IrAttr *ir_attr_find(int count, const IrAttr *attrs, const char *name);

/* A node of the given type, no questions asked, placed as the builder says. */
IrNode *ir_node_create(IrBuilder *b, IrOp op, const IrType *type, int input_count, IrNode *const *inputs,
                       int attr_count, const IrAttr *attrs);

/* As ir_graph_clone, in another module. */
IrGraph *ir_graph_clone_into(IrModule *module, IrGraph *graph, const char *name);

/* A name needs no quotes after '%' when it looks like an identifier, after '@' and in a key when it is made of letters,
 * digits and "_.-". */
bool ir_name_is_identifier(const char *name);
bool ir_name_is_symbol(const char *name);

#endif
