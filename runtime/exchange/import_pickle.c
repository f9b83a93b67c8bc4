/* import_pickle.c: the stack machine of pickles, as far as checkpoints need it: protocols 2 to 5 without out-of-band
 * buffers and extension codes. Objects are opaque: their classes are not known, their states are dropped.
 *
 * Invariants: marks are rising positions of the stack; a value's items were on the stack, so the memory used is a small
 * multiple of the bytes read. */
#include "runtime/exchange/import.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_VALUES = 1 << 24, MAX_PROTOCOL = 5 };

bool pickle_refuse(Pickle *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(p->arena, format, args);
    va_end(args);
    return error_set(p->error, ERROR_INPUT, "%s: %s (pickle, byte %zu)", p->path, text, p->at);
}

const char *pickle_kind_name(PickleKind kind) {
    static const char *const names[PICKLE_KIND_COUNT] = {
        "None",   "a bool", "an integer", "a float",   "a string", "a tuple",
        "a list", "a dict", "a name",     "a storage", "a tensor", "an object that is not looked into"};
    return names[kind];
}

const char *pickle_describe(Arena *arena, const PickleValue *value) {
    const char *name = value->kind == PICKLE_opaque && value->made_by ? pickle_name_text(value->made_by) : NULL;
    return name ? arena_printf(arena, "an object of '%.200s'", name) : pickle_kind_name(value->kind);
}

PickleValue *pickle_new(Pickle *p, PickleKind kind) {
    if (p->value_count++ >= MAX_VALUES) {
        pickle_refuse(p, "the pickle makes more than %d values", MAX_VALUES);
        return NULL;
    }
    PickleValue *value = ARENA_NEW(p->arena, PickleValue);
    value->kind = kind;
    return value;
}

bool pickle_push_item(Pickle *p, PickleValue *to, PickleValue *item) {
    if (to->count >= MAX_VALUES)
        return pickle_refuse(p, "a list of more than %d values", MAX_VALUES);
    ARENA_PUSH(p->arena, to->items, to->count, to->capacity, item);
    return true;
}

PickleValue *pickle_dict_get(const PickleValue *dict, const char *key) {
    size_t length = strlen(key);
    for (size_t i = dict->count; i >= 2; i -= 2) {
        const PickleValue *k = dict->items[i - 2];
        if (k->kind == PICKLE_string && k->length == length && memcmp(k->text, key, length) == 0)
            return dict->items[i - 1];
    }
    return NULL;
}

/* ---- bytes ---- */

static bool need(Pickle *p, uint64_t count) {
    return p->size - p->at >= count ||
           pickle_refuse(p, "the pickle is cut off: %" PRIu64 " bytes expected, %zu there", count, p->size - p->at);
}

/* A little-endian number of so many bytes. */
static bool take_number(Pickle *p, int bytes, uint64_t *value) {
    *value = 0;
    if (!need(p, (uint64_t)bytes))
        return false;
    for (int i = bytes - 1; i >= 0; i--)
        *value = *value << 8 | p->bytes[p->at + (size_t)i];
    p->at += (size_t)bytes;
    return true;
}

static bool take_line(Pickle *p, const char **line) {
    const unsigned char *start = p->bytes + p->at, *stop = memchr(start, '\n', p->size - p->at);
    if (!stop)
        return pickle_refuse(p, "the pickle is cut off in a name");
    *line = arena_strndup(p->arena, (const char *)start, (size_t)(stop - start));
    p->at += (size_t)(stop - start) + 1;
    return true;
}

/* ---- the stack ---- */

static bool push(Pickle *p, PickleValue *value) {
    if (!value)
        return false;
    ARENA_PUSH(p->arena, p->stack, p->depth, p->stack_capacity, value);
    return true;
}

static size_t stack_floor(const Pickle *p) {
    return p->mark_count ? p->marks[p->mark_count - 1] : 0;
}

static PickleValue *pop(Pickle *p) {
    if (p->depth > stack_floor(p))
        return p->stack[--p->depth];
    pickle_refuse(p, "the pickle takes a value from an empty stack");
    return NULL;
}

static PickleValue *top(Pickle *p) {
    if (p->depth > stack_floor(p))
        return p->stack[p->depth - 1];
    pickle_refuse(p, "the pickle uses a value of an empty stack");
    return NULL;
}

static bool push_mark(Pickle *p) {
    ARENA_PUSH(p->arena, p->marks, p->mark_count, p->mark_capacity, p->depth);
    return true;
}

/* Takes the mark away; first is where the values above it begin, which stay until the caller sets the depth. */
static bool pop_mark(Pickle *p, size_t *first) {
    if (!p->mark_count)
        return pickle_refuse(p, "the pickle looks for a mark that is not there");
    *first = p->marks[--p->mark_count];
    return true;
}

static bool push_items(Pickle *p, PickleKind kind, size_t first) {
    PickleValue *value = pickle_new(p, kind);
    if (!value)
        return false;
    value->count = p->depth - first;
    value->capacity = (uint32_t)value->count;
    if (value->count) {
        value->items = ARENA_ARRAY(p->arena, PickleValue *, value->count);
        memcpy(value->items, p->stack + first, value->count * sizeof(*value->items));
    }
    p->depth = first;
    return push(p, value);
}

static bool push_tuple(Pickle *p, size_t count) {
    if (p->depth - stack_floor(p) < count)
        return pickle_refuse(p, "the pickle makes a tuple of values that are not there");
    return push_items(p, PICKLE_tuple, p->depth - count);
}

static bool push_marked(Pickle *p, PickleKind kind) {
    size_t first = 0;
    if (!pop_mark(p, &first))
        return false;
    if (kind == PICKLE_dict && (p->depth - first) % 2)
        return pickle_refuse(p, "a dict with a key without a value");
    return push_items(p, kind, first);
}

static bool push_int(Pickle *p, int64_t integer) {
    PickleValue *value = pickle_new(p, PICKLE_int);
    if (value)
        value->integer = integer;
    return push(p, value);
}

static bool push_bool(Pickle *p, bool integer) {
    PickleValue *value = pickle_new(p, PICKLE_bool);
    if (value)
        value->integer = integer;
    return push(p, value);
}

static bool push_string(Pickle *p, int length_bytes) {
    uint64_t length;
    if (!take_number(p, length_bytes, &length) || !need(p, length))
        return false;
    PickleValue *value = pickle_new(p, PICKLE_string);
    if (!value)
        return false;
    value->text = (const char *)p->bytes + p->at;
    value->length = (size_t)length;
    p->at += (size_t)length;
    return push(p, value);
}

/* A two's complement integer; one of more than 8 bytes stays a string of bytes. */
static bool push_long(Pickle *p, int length_bytes) {
    if (!push_string(p, length_bytes))
        return false;
    PickleValue *value = p->stack[p->depth - 1];
    const unsigned char *bytes = (const unsigned char *)value->text;
    size_t length = value->length;
    if (length > 8)
        return true;
    uint64_t integer = length && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = length; i-- > 0;)
        integer = integer << 8 | bytes[i];
    value->kind = PICKLE_int;
    value->integer = (int64_t)integer;
    return true;
}

static bool push_float(Pickle *p) {
    if (!need(p, 8))
        return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p->bytes[p->at++];
    PickleValue *value = pickle_new(p, PICKLE_float);
    if (value)
        memcpy(&value->number, &bits, 8);
    return push(p, value);
}

/* ---- the memo ---- */

/* Writers count their entries from 0, or, Python 2's in C, from 1; so memory is bounded by what was put before. */
static bool memo_put(Pickle *p, uint64_t index) {
    PickleValue *value = top(p);
    if (!value)
        return false;
    if (index > p->memo_next + 1)
        return pickle_refuse(p, "memo entry %" PRIu64 " after only %zu others", index, p->memo_next);
    if (index >= p->memo_count) {
        size_t count = 2 * (size_t)index + 64;
        p->memo = arena_grow(p->arena, p->memo, p->memo_count * sizeof(*p->memo), count * sizeof(*p->memo));
        p->memo_count = count;
    }
    p->memo[index] = value;
    p->memo_next++;
    return true;
}

static bool memo_get(Pickle *p, uint64_t index) {
    if (index >= p->memo_count || !p->memo[index])
        return pickle_refuse(p, "memo entry %" PRIu64 " was never made", index);
    return push(p, p->memo[index]);
}

static bool memo_indexed(Pickle *p, int bytes, bool (*act)(Pickle *, uint64_t)) {
    uint64_t index;
    return take_number(p, bytes, &index) && act(p, index);
}

/* ---- filling containers ---- */

/* Appends the values from first on to what lies below them. */
static bool fill(Pickle *p, size_t first, PickleKind kind) {
    size_t count = p->depth - first;
    p->depth = first;
    PickleValue *to = top(p);
    if (to && to->kind == PICKLE_opaque && kind == PICKLE_dict) { /* of a class that is a kind of dict */
        to->kind = PICKLE_dict;
        to->items = NULL;
        to->count = to->capacity = 0;
    }
    if (!to || to->kind == PICKLE_opaque)
        return to != NULL;
    if (to->kind != kind)
        return pickle_refuse(p, "items for %s, which must be %s", pickle_kind_name(to->kind), pickle_kind_name(kind));
    if (kind == PICKLE_dict && count % 2)
        return pickle_refuse(p, "a dict with a key without a value");
    for (size_t i = 0; i < count; i++) {
        if (!pickle_push_item(p, to, p->stack[first + i]))
            return false;
    }
    return true;
}

static bool fill_marked(Pickle *p, PickleKind kind) {
    size_t first = 0;
    return pop_mark(p, &first) && fill(p, first, kind);
}

static bool fill_last(Pickle *p, size_t count, PickleKind kind) {
    if (p->depth - stack_floor(p) < count)
        return pickle_refuse(p, "the pickle uses values that are not there");
    return fill(p, p->depth - count, kind);
}

/* ---- names and calls ---- */

static bool push_name(Pickle *p, const char *module, const char *name) {
    const PickleName *found = pickle_name_find(p, module, name);
    PickleValue *value = found ? pickle_new(p, PICKLE_name) : NULL;
    if (value)
        value->name = found;
    return push(p, value);
}

static bool name_of_lines(Pickle *p) {
    const char *module, *name;
    return take_line(p, &module) && take_line(p, &name) && push_name(p, module, name);
}

static bool name_of_stack(Pickle *p) {
    PickleValue *name = pop(p), *module = name ? pop(p) : NULL;
    if (!module)
        return false;
    if (name->kind != PICKLE_string || module->kind != PICKLE_string)
        return pickle_refuse(p, "a name that is no string");
    return push_name(p, arena_strndup(p->arena, module->text, module->length),
                     arena_strndup(p->arena, name->text, name->length));
}

static bool call(Pickle *p) {
    PickleValue *arguments = pop(p), *name = arguments ? pop(p) : NULL;
    if (!name)
        return false;
    if (name->kind == PICKLE_opaque) { /* a method of something unknown */
        PickleValue *value = pickle_new(p, PICKLE_opaque);
        if (value)
            value->made_by = name->made_by;
        return push(p, value);
    }
    if (name->kind != PICKLE_name || arguments->kind != PICKLE_tuple)
        return pickle_refuse(p, "a call of %s with %s", pickle_kind_name(name->kind),
                             pickle_kind_name(arguments->kind));
    return push(p, pickle_name_call(p, name->name, arguments));
}

/* With arguments by name, which only objects take. */
static bool call_with_names(Pickle *p) {
    return pop(p) && call(p);
}

/* The state of an object, such as the _metadata of a state_dict, is not needed. */
static bool drop_state(Pickle *p) {
    PickleValue *state = pop(p);
    return state && top(p);
}

static bool drop_marked(Pickle *p) {
    size_t first = 0;
    bool marked = pop_mark(p, &first);
    p->depth = marked ? first : p->depth;
    return marked;
}

/* A value, or a mark that has nothing above it. */
static bool drop_value(Pickle *p) {
    return p->mark_count && p->depth == stack_floor(p) ? drop_marked(p) : pop(p) != NULL;
}

static bool open_storage(Pickle *p) {
    PickleValue *id = pop(p);
    return id && push(p, pickle_storage_open(p, id));
}

static bool check_protocol(Pickle *p) {
    uint64_t version;
    return take_number(p, 1, &version) &&
           (version <= MAX_PROTOCOL ||
            pickle_refuse(p, "pickle protocol %" PRIu64 "; known are up to %d", version, MAX_PROTOCOL));
}

static bool skip_frame(Pickle *p) {
    uint64_t length;
    return take_number(p, 8, &length) && need(p, length);
}

static bool take_int(Pickle *p, int bytes) {
    uint64_t value;
    return take_number(p, bytes, &value) && push_int(p, bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

/* The closed list of opcodes. */
static bool step(Pickle *p, unsigned char opcode) {
    switch (opcode) {
    case 0x80:
        return check_protocol(p);
    case 0x95:
        return skip_frame(p);
    case '(':
        return push_mark(p);
    case 'N':
        return push(p, pickle_new(p, PICKLE_none));
    case 0x88:
        return push_bool(p, true);
    case 0x89:
        return push_bool(p, false);
    case 'K':
        return take_int(p, 1);
    case 'M':
        return take_int(p, 2);
    case 'J':
        return take_int(p, 4);
    case 0x8a:
        return push_long(p, 1);
    case 0x8b:
        return push_long(p, 4);
    case 'G':
        return push_float(p);
    case 'X':
    case 'T':
    case 'B':
        return push_string(p, 4);
    case 'U':
    case 'C':
    case 0x8c:
        return push_string(p, 1);
    case 0x8d:
    case 0x8e:
    case 0x96:
        return push_string(p, 8);
    case '0':
        return drop_value(p);
    case '1':
        return drop_marked(p);
    case '2':
        return push(p, top(p));
    case ')':
        return push_tuple(p, 0);
    case 0x85:
        return push_tuple(p, 1);
    case 0x86:
        return push_tuple(p, 2);
    case 0x87:
        return push_tuple(p, 3);
    case 't':
        return push_marked(p, PICKLE_tuple);
    case ']':
        return push(p, pickle_new(p, PICKLE_list));
    case 'l':
        return push_marked(p, PICKLE_list);
    case '}':
        return push(p, pickle_new(p, PICKLE_dict));
    case 'd':
        return push_marked(p, PICKLE_dict);
    case 0x8f:
        return push(p, pickle_new(p, PICKLE_opaque)); /* a set */
    case 0x91:
        return push_marked(p, PICKLE_opaque); /* a frozen set */
    case 'a':
        return fill_last(p, 1, PICKLE_list);
    case 'e':
        return fill_marked(p, PICKLE_list);
    case 's':
        return fill_last(p, 2, PICKLE_dict);
    case 'u':
        return fill_marked(p, PICKLE_dict);
    case 0x90:
        return fill_marked(p, PICKLE_opaque);
    case 'q':
        return memo_indexed(p, 1, memo_put);
    case 'r':
        return memo_indexed(p, 4, memo_put);
    case 0x94:
        return memo_put(p, p->memo_next);
    case 'h':
        return memo_indexed(p, 1, memo_get);
    case 'j':
        return memo_indexed(p, 4, memo_get);
    case 'c':
        return name_of_lines(p);
    case 0x93:
        return name_of_stack(p);
    case 'R':
    case 0x81:
        return call(p);
    case 0x92:
        return call_with_names(p);
    case 'b':
        return drop_state(p);
    case 'Q':
        return open_storage(p);
    default:
        return pickle_refuse(p, "the pickle's opcode 0x%02x is not one that weights need", opcode);
    }
}

PickleValue *pickle_run(Pickle *p) {
    p->depth = p->mark_count = p->memo_count = 0;
    p->memo_next = 0;
    p->memo = NULL;
    for (;;) {
        if (!need(p, 1))
            return NULL;
        unsigned char opcode = p->bytes[p->at++];
        if (opcode == '.')
            return p->mark_count == 0 && p->depth == 1 ? p->stack[0] : pop(p);
        if (!step(p, opcode))
            return NULL;
    }
}
