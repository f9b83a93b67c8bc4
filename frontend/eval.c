/* eval.c: expressions and statements, evaluated while lowering. */
#include "frontend/lower.h"
#include "ir/scalar_form.h"

#include <string.h>

enum { BYTES_A_STEP = 64 /* of a name that is copied */ };
enum { MAX_DEPTH = 200, MAX_NESTING = 1200, MAX_LOOP = 100000, MAX_NOTES = 4 };

/* What is compiled is not used by anybody. */
static bool is_use(const Frame *f) {
    bool named = f->definition && f->definition->name && f->call.file;
    return named && (f->call.file != f->definition->name_span.file || f->call.line != f->definition->name_span.line);
}

static bool span_equal(Span a, Span b) {
    return a.file == b.file && a.line == b.line && a.col == b.col;
}

/* The innermost uses, and of the others the first in the text itself; not the one that was shown already. */
static void note_uses(Lower *l, Frame *f, Span shown) {
    Span in_text = lower_place_in_text(l, f, shown);
    for (int notes = 0; f; f = f->caller) {
        if (!is_use(f) || span_equal(f->call, shown) || (notes >= MAX_NOTES && !span_equal(f->call, in_text)))
            continue;
        diag_note(l->diag, f->call, "in '%s', used here", f->definition->name);
        notes++;
    }
}

void lower_note_uses(Lower *l, Frame *f) {
    note_uses(l, f, (Span){0});
}

Span lower_place_in_text(Lower *l, Frame *f, Span otherwise) {
    for (; f; f = f->caller)
        if (f->definition && f->call.file && f->call.file == l->text)
            return f->call;
    return otherwise;
}

Value lower_error(Lower *l, Frame *f, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(l->arena, format, args);
    va_end(args);
    diag_error(l->diag, span, "%s", message);
    lower_note_uses(l, f);
    return (Value){.kind = VALUE_error};
}

Frame *lower_frame(Lower *l, Frame *caller, const Ast *definition, Span call) {
    Frame *f = ARENA_NEW(l->arena, Frame);
    f->caller = caller;
    f->variables = str_map_create(l->arena);
    f->definition = definition;
    f->call = call;
    return f;
}

void lower_set_variable(Lower *l, Frame *f, const char *name, Value value) {
    Value *copy = ARENA_NEW(l->arena, Value);
    *copy = value;
    str_map_set(&f->variables, name, copy);
}

static bool has_read(const Instance *instance, const char *name) {
    for (int i = 0; i < instance->read_count; i++)
        if (str_equal(instance->reads[i].name, name))
            return true;
    return false;
}

bool lower_lookup(Frame *from, Arena *arena, const char *name, Value *value) {
    Frame *f = from;
    const Value *found = NULL;
    while (f && !(found = str_map_get(&f->variables, name)))
        f = f->caller;
    for (Frame *g = from; g != f; g = g->caller) {
        if (!g->instance || has_read(g->instance, name))
            continue;
        Read read = {.name = name, .found = found != NULL};
        if (found)
            read.value = *found;
        ARENA_PUSH(arena, g->instance->reads, g->instance->read_count, g->instance->read_capacity, read);
    }
    if (found)
        *value = *found;
    return found != NULL;
}

/* ---- names ---- */
static Value global_value(Lower *l, const Ast *definition) {
    switch (definition->kind) {
    case AST_genotype:
        return value_definition(VALUE_genotype, definition);
    case AST_space:
        return value_definition(VALUE_space, definition);
    case AST_network:
        return value_definition(VALUE_network, definition);
    case AST_let:
        return lower_eval(l, lower_frame(l, NULL, definition, definition->span), definition->kids[0]);
    default:
        break;
    }
    Stage *stage = ARENA_NEW(l->arena, Stage);
    *stage = (Stage){.kind = definition->kind == AST_fn ? STAGE_fn : STAGE_op,
                     .span = definition->span,
                     .name = definition->name,
                     .definition = definition};
    /* op sep_conv_3x3 = sep_conv(3, 1): another name of what the right side is, not a function around it. */
    if (definition->kind == AST_op && definition->count == 2 && !definition->kids[0]) {
        Value body = lower_eval(l, lower_frame(l, NULL, definition, definition->span), definition->kids[1]);
        if (body.kind == VALUE_error)
            return body;
        if (body.kind == VALUE_stage && body.stage->kind == STAGE_op) {
            *stage = *body.stage;
            stage->name = definition->name;
            stage->fixed = stage->args.count;
        }
    }
    return value_stage(stage);
}

/* A definition is no part of the graph that uses it first. */
static Value eval_outside(Lower *l, const Ast *definition) {
    Target *target = l->target;
    l->target = NULL;
    Value value = global_value(l, definition);
    l->target = target;
    return value;
}

static Value global_lookup(Lower *l, const Ast *definition) {
    Value *known = str_map_get(&l->constants, definition->name);
    if (known)
        return *known;
    Pending pending;
    known = ARENA_NEW(l->arena, Value); /* an error until it is known */
    if (lower_enter(l, &pending, definition)) {
        *known = eval_outside(l, definition);
        lower_leave(l);
        str_map_set(&l->constants, definition->name, known);
    }
    return *known;
}

Value lower_name(Lower *l, Frame *f, const Ast *name) {
    const Value *variable = str_map_get(&f->variables, name->name);
    if (variable)
        return *variable;
    const Ast *definition = sema_find_definition(l->globals, l->library, name);
    if (definition && definition->kind == AST_method)
        return lower_error(l, f, name->span, "'%s' is a method, which stands after 'method' in a search", name->name);
    if (definition)
        return global_lookup(l, definition);
    const Builtin *schedule = l->in_clause ? builtin_find_schedule(name->name) : NULL;
    const Builtin *builtin = schedule ? schedule : builtin_find(name->name);
    if (builtin) {
        Stage *stage = ARENA_NEW(l->arena, Stage);
        *stage = (Stage){.kind = STAGE_builtin, .span = name->span, .name = name->name, .builtin = builtin};
        return value_stage(stage);
    }
    return lower_error(l, f, name->span, "unknown name '%s'", name->name);
}

/* ---- arithmetic ---- */
static bool compare(const char *op, double x, double y) {
    if (str_equal(op, "<"))
        return x < y;
    if (str_equal(op, "<="))
        return x <= y;
    return str_equal(op, ">") ? x > y : x >= y;
}

static Value integer_arithmetic(Lower *l, Frame *f, const Ast *ast, int64_t x, int64_t y) {
    int64_t result = 0;
    bool overflow = false;
    switch (ast->name[0]) {
    case '+':
        overflow = __builtin_add_overflow(x, y, &result);
        break;
    case '-':
        overflow = __builtin_sub_overflow(x, y, &result);
        break;
    case '*':
        overflow = __builtin_mul_overflow(x, y, &result);
        break;
    default:
        if (y == 0 || (x == INT64_MIN && y == -1))
            return lower_error(l, f, ast->span, "division by %s", y ? "-1 overflows" : "zero");
        result = x / y - (x % y != 0 && (x < 0) != (y < 0)); /* towards minus infinity */
        if (ast->name[0] == '%')
            result = x - result * y;
    }
    return overflow ? lower_error(l, f, ast->span, "the result is too large for an integer") : value_int(result);
}

static Value number_arithmetic(Lower *l, Frame *f, const Ast *ast, double x, double y) {
    IrOp op;
    if (!ir_op_find_infix(ast->name[0], &op))
        return lower_error(l, f, ast->span, "'%%' takes integers");
    if (op == OP_div && y == 0)
        return lower_error(l, f, ast->span, "division by zero");
    return value_float(ir_evaluate(op, 2, (double[]){x, y}));
}

static Value eval_logic(Lower *l, Frame *f, const Ast *ast) {
    bool is_and = str_equal(ast->name, "and");
    for (int i = 0; i < 2; i++) {
        Value value = lower_eval(l, f, ast->kids[i]);
        if (value.kind == VALUE_error)
            return value;
        if (value.kind != VALUE_bool)
            return lower_error(l, f, ast->kids[i]->span, "'%s' takes true or false, not %s", ast->name,
                               value_kind_name(&value));
        if ((value.i != 0) != is_and)
            return value;
    }
    return value_bool(is_and);
}

static Value concatenate(Lower *l, Frame *f, const Ast *ast, const Value *x, const Value *y) {
    if (!lower_spend(l, f, ast->span, (int64_t)x->count + y->count))
        return (Value){.kind = VALUE_error};
    Value *items = ARENA_ARRAY(l->arena, Value, x->count + y->count + 1);
    for (int i = 0; i < x->count + y->count; i++)
        items[i] = i < x->count ? x->items[i] : y->items[i - x->count];
    return value_list(x->count + y->count, items);
}

static Value eval_binary(Lower *l, Frame *f, const Ast *ast) {
    if (str_equal(ast->name, "and") || str_equal(ast->name, "or"))
        return eval_logic(l, f, ast);
    Value x = lower_eval(l, f, ast->kids[0]), y = lower_eval(l, f, ast->kids[1]);
    if (x.kind == VALUE_error || y.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    if (x.kind == VALUE_tensor || y.kind == VALUE_tensor)
        return builtin_binary(l, f, ast->name, x, y, ast->span);
    if (str_equal(ast->name, "=="))
        return value_bool(value_equal(&x, &y));
    if (str_equal(ast->name, "!="))
        return value_bool(!value_equal(&x, &y));
    if (x.kind == VALUE_list && y.kind == VALUE_list && ast->name[0] == '+')
        return concatenate(l, f, ast, &x, &y);
    double a, b;
    if (!value_number(&x, &a) || !value_number(&y, &b))
        return lower_error(l, f, ast->span, "'%s' takes numbers or tensors, not %s and %s", ast->name,
                           value_kind_name(&x), value_kind_name(&y));
    if (ast->name[0] == '<' || ast->name[0] == '>')
        return value_bool(compare(ast->name, a, b));
    return x.kind == VALUE_int && y.kind == VALUE_int ? integer_arithmetic(l, f, ast, x.i, y.i)
                                                      : number_arithmetic(l, f, ast, a, b);
}

static Value eval_unary(Lower *l, Frame *f, const Ast *ast) {
    Value x = lower_eval(l, f, ast->kids[0]);
    if (x.kind == VALUE_error)
        return x;
    if (ast->name[0] == 'n') {
        if (x.kind == VALUE_bool)
            return value_bool(!x.i);
        return lower_error(l, f, ast->span, "'not' takes true or false, not %s", value_kind_name(&x));
    }
    if (x.kind == VALUE_int)
        return integer_arithmetic(l, f, ast, 0, x.i);
    if (x.kind == VALUE_float)
        return value_float(-x.f);
    if (x.kind == VALUE_tensor)
        return builtin_negate(l, f, x, ast->span);
    return lower_error(l, f, ast->span, "'-' takes a number or a tensor, not %s", value_kind_name(&x));
}

static Value eval_if(Lower *l, Frame *f, const Ast *ast) {
    Value condition = lower_eval(l, f, ast->kids[0]);
    if (condition.kind == VALUE_error)
        return condition;
    if (condition.kind == VALUE_bool)
        return lower_eval(l, f, ast->kids[condition.i ? 1 : 2]);
    if (condition.kind == VALUE_tensor) {
        Value no = lower_eval(l, f, ast->kids[2]), yes = lower_eval(l, f, ast->kids[1]);
        return builtin_select(l, f, condition, yes, no, ast->span);
    }
    return lower_error(l, f, ast->kids[0]->span, "a condition is true or false, not %s", value_kind_name(&condition));
}

/* ---- parts ---- */
static Value eval_field(Lower *l, Frame *f, const Ast *ast) {
    Value x = lower_eval(l, f, ast->kids[0]);
    if (x.kind == VALUE_genotype)
        return lower_genotype_field(l, f, x.definition, ast->name, ast->name_span);
    if (x.kind == VALUE_space)
        return lower_space_field(l, f, x.definition, ast->name, ast->name_span);
    if (x.kind == VALUE_error)
        return x;
    return lower_error(l, f, ast->span, "%s has no parts; '.%s' needs a genotype or a space", value_kind_name(&x),
                       ast->name);
}

static Value eval_index(Lower *l, Frame *f, const Ast *ast) {
    Value x = lower_eval(l, f, ast->kids[0]), i = lower_eval(l, f, ast->kids[1]);
    if (x.kind == VALUE_error || i.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    if (x.kind != VALUE_list || i.kind != VALUE_int)
        return lower_error(l, f, ast->span, "only a list has elements, at integers; here are %s and %s",
                           value_kind_name(&x), value_kind_name(&i));
    if (i.i < 0 || i.i >= x.count)
        return lower_error(l, f, ast->kids[1]->span, "there is no element %lld in a list of %d", (long long)i.i,
                           x.count);
    return x.items[i.i];
}

static Value eval_list(Lower *l, Frame *f, const Ast *ast) {
    Value *items = ARENA_ARRAY(l->arena, Value, ast->count + 1);
    bool wrong = false;
    for (int i = 0; i < ast->count; i++) {
        items[i] = lower_eval(l, f, ast->kids[i]);
        wrong |= items[i].kind == VALUE_error;
    }
    return wrong ? (Value){.kind = VALUE_error} : value_list(ast->count, items);
}

/* ---- pipes and labels ---- */
static const char *label_text(Lower *l, Frame *f, const Ast *label) {
    if (label->kind == AST_name)
        return label->name;
    if (label->kind == AST_error)
        return NULL;
    const char *before = label_text(l, f, label->kids[0]);
    if (!before)
        return NULL;
    if (label->kind == AST_field)
        return arena_printf(l->arena, "%s.%s", before, label->name);
    Value number = lower_eval(l, f, label->kids[1]);
    if (number.kind == VALUE_string)
        return arena_printf(l->arena, "%s.%s", before, number.s);
    if (number.kind != VALUE_int) {
        if (number.kind != VALUE_error)
            lower_error(l, f, label->kids[1]->span, "a part of a name is an integer or a string, not %s",
                        value_kind_name(&number));
        return NULL;
    }
    return arena_printf(l->arena, "%s.%lld", before, (long long)number.i);
}

static Value eval_stage_of(Lower *l, Frame *f, const Ast *ast) {
    Value value = lower_eval(l, f, ast);
    if (value.kind != VALUE_stage && value.kind != VALUE_error)
        return lower_error(l, f, ast->span, "expected an operation, found %s", value_kind_name(&value));
    return value;
}

static Value eval_label(Lower *l, Frame *f, const Ast *ast) {
    const char *label = ast->kids[0] ? label_text(l, f, ast->kids[0]) : "";
    Value inner = label ? eval_stage_of(l, f, ast->kids[1]) : (Value){.kind = VALUE_error};
    if (inner.kind == VALUE_error)
        return (Value){.kind = VALUE_error};
    Stage *stage = ARENA_NEW(l->arena, Stage);
    *stage = (Stage){.kind = STAGE_label, .span = ast->span, .name = inner.stage->name, .label = label, .count = 1};
    stage->stages = ARENA_ARRAY(l->arena, const Stage *, 1);
    stage->stages[0] = inner.stage;
    return value_stage(stage);
}

static Value eval_pipe(Lower *l, Frame *f, const Ast *ast) {
    Value value = lower_eval(l, f, ast->kids[0]);
    if (value.kind == VALUE_tensor) {
        for (int i = 1; i < ast->count && value.kind == VALUE_tensor; i++) {
            Value stage = eval_stage_of(l, f, ast->kids[i]);
            if (stage.kind == VALUE_error)
                return stage;
            const char *prefix = l->target->prefix;
            if (!f->cell && (stage.stage->kind != STAGE_label || !stage.stage->label[0]))
                l->target->prefix = lower_join(l->arena, prefix, arena_printf(l->arena, "%d", i - 1));
            value = lower_apply(l, f, stage.stage, 1, &value, ast->kids[i]->span);
            l->target->prefix = prefix;
        }
        return value;
    }
    Stage *pipe = ARENA_NEW(l->arena, Stage);
    *pipe = (Stage){.kind = STAGE_pipe, .span = ast->span, .name = "a pipe", .count = ast->count};
    pipe->stages = ARENA_ARRAY(l->arena, const Stage *, ast->count);
    bool wrong = false;
    for (int i = 0; i < ast->count; i++) {
        Value stage = i ? eval_stage_of(l, f, ast->kids[i]) : value;
        if (stage.kind == VALUE_stage)
            pipe->stages[i] = stage.stage;
        else if (stage.kind != VALUE_error)
            lower_error(l, f, ast->kids[i]->span, "a pipe begins with a tensor or an operation, not %s",
                        value_kind_name(&stage));
        wrong |= stage.kind != VALUE_stage;
    }
    return wrong ? (Value){.kind = VALUE_error} : value_stage(pipe);
}

static Value eval(Lower *l, Frame *f, const Ast *ast) {
    switch (ast->kind) {
    case AST_int:
        return value_int(ast->integer);
    case AST_float:
        return value_float(ast->number);
    case AST_string:
        return value_string(ast->name);
    case AST_bool:
        return value_bool(ast->integer);
    case AST_name:
        return lower_name(l, f, ast);
    case AST_list:
        return eval_list(l, f, ast);
    case AST_call:
        return lower_call(l, f, ast);
    case AST_binary:
        return eval_binary(l, f, ast);
    case AST_unary:
        return eval_unary(l, f, ast);
    case AST_if:
        return eval_if(l, f, ast);
    case AST_field:
        return eval_field(l, f, ast);
    case AST_index:
        return eval_index(l, f, ast);
    case AST_pipe:
        return eval_pipe(l, f, ast);
    case AST_label:
    case AST_group:
        return eval_label(l, f, ast);
    default:
        return (Value){.kind = VALUE_error};
    }
}

Value lower_eval(Lower *l, Frame *f, const Ast *ast) {
    if (l->gave_up || !lower_spend(l, f, ast->span, 1))
        return (Value){.kind = VALUE_error};
    if (l->depth > MAX_DEPTH || l->nesting > MAX_NESTING)
        return lower_give_up_circle(l, f, ast->span, "definitions", l->depth > MAX_DEPTH ? MAX_DEPTH : MAX_NESTING);
    l->nesting++;
    Value value = eval(l, f, ast);
    l->nesting--;
    return value;
}

/* ---- statements ---- */
static void run_assign(Lower *l, Frame *f, const Ast *ast) {
    const Ast *names = ast->kids[0], *values = ast->kids[1];
    Value all = eval_list(l, f, values);
    if (all.kind == VALUE_list && values->count == 1 && names->count > 1)
        all = all.items[0];
    if (all.kind != VALUE_error && (all.kind != VALUE_list || all.count != names->count))
        lower_error(l, f, ast->span, "%d names for %d values", names->count, all.kind == VALUE_list ? all.count : 1);
    for (int i = 0; i < names->count; i++) {
        bool there = all.kind == VALUE_list && i < all.count;
        lower_set_variable(l, f, names->kids[i]->name, there ? all.items[i] : (Value){.kind = VALUE_error});
    }
}

static void run_for(Lower *l, Frame *f, const Ast *ast) {
    Value from = lower_eval(l, f, ast->kids[0]), to = lower_eval(l, f, ast->kids[1]);
    if (from.kind == VALUE_error || to.kind == VALUE_error)
        return;
    int64_t times;
    if (from.kind != VALUE_int || to.kind != VALUE_int || __builtin_sub_overflow(to.i, from.i, &times) ||
        times > MAX_LOOP) {
        lower_error(l, f, span_join(ast->kids[0]->span, ast->kids[1]->span),
                    "a loop runs from an integer to an integer, at most %d times", MAX_LOOP);
        return;
    }
    int before = diag_count_errors(l->diag);
    for (int64_t i = from.i; i < to.i && !f->returned && diag_count_errors(l->diag) == before; i++) {
        if (!lower_spend(l, f, ast->span, 1))
            return;
        lower_set_variable(l, f, ast->name, value_int(i));
        lower_run_block(l, f, ast->kids[2]);
    }
}

static void run_when(Lower *l, Frame *f, const Ast *ast) {
    Value condition = lower_eval(l, f, ast->kids[0]);
    if (condition.kind == VALUE_bool && condition.i)
        lower_run_block(l, f, ast->kids[1]);
    else if (condition.kind == VALUE_bool && ast->count > 2)
        lower_run_block(l, f, ast->kids[2]);
    else if (condition.kind != VALUE_bool && condition.kind != VALUE_error)
        lower_error(l, f, ast->kids[0]->span, "a condition is true or false, not %s", value_kind_name(&condition));
}

static void run_within(Lower *l, Frame *f, const Ast *ast) {
    const char *label = label_text(l, f, ast->kids[0]);
    const char *prefix = l->target->prefix;
    if (label)
        l->target->prefix = lower_join(l->arena, prefix, label);
    lower_spend(l, f, ast->span, (int64_t)strlen(l->target->prefix) / BYTES_A_STEP);
    lower_run_block(l, f, ast->kids[1]);
    l->target->prefix = prefix;
}

/* A requirement that does not hold is a mistake of whoever uses the body, and its end. */
static void run_require(Lower *l, Frame *f, const Ast *ast) {
    Value condition = lower_eval(l, f, ast->kids[0]);
    if (condition.kind == VALUE_bool && condition.i)
        return;
    f->returned = true;
    f->result = (Value){.kind = VALUE_error};
    if (condition.kind == VALUE_error)
        return;
    if (condition.kind != VALUE_bool) {
        lower_error(l, f, ast->kids[0]->span, "a condition is true or false, not %s", value_kind_name(&condition));
        return;
    }
    Str message = str_create(l->arena);
    for (int i = 1; i < ast->count; i++) {
        Value part = lower_eval(l, f, ast->kids[i]);
        if (part.kind == VALUE_error)
            return;
        value_print(&part, &message);
    }
    Span place = lower_place_in_text(l, f, ast->span);
    diag_error(l->diag, place, "%s", message.data);
    if (!span_equal(place, ast->span))
        diag_note(l->diag, ast->span, "this is required here");
    note_uses(l, f, place);
}

static void run_statement(Lower *l, Frame *f, const Ast *ast) {
    switch (ast->kind) {
    case AST_assign:
        run_assign(l, f, ast);
        break;
    case AST_for:
        run_for(l, f, ast);
        break;
    case AST_when:
        run_when(l, f, ast);
        break;
    case AST_within:
        run_within(l, f, ast);
        break;
    case AST_return: {
        Value values = eval_list(l, f, ast);
        f->result = values.kind == VALUE_list && values.count == 1 ? values.items[0] : values;
        f->returned = true;
        break;
    }
    case AST_require:
        run_require(l, f, ast);
        break;
    default:
        bug("statement of kind %d", ast->kind);
    }
}

void lower_run_block(Lower *l, Frame *f, const Ast *block) {
    for (int i = 0; i < block->count && !f->returned && !l->gave_up; i++)
        run_statement(l, f, block->kids[i]);
}
