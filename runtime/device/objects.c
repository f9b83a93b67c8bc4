/* objects.c: another batch, budget, or number of classes changes few of a module's functions, so these are kept one by
 * one, under a symbol that is the hash of all that goes into compiling them:
 *
 *     nd_0c31... = hash(prelude, options, compiler, text of the function with the symbols of those that it calls)
 *
 * What the cache has not is compiled in units of many functions each. Their objects are entries (KEY.o); the file
 * objects.index has a line SYMBOL KEY for every function. It says where to look, no more: an object that is gone or damaged is made
 * again, and a line that makes no sense is none. Two objects may define the same symbol (two programs at once, or a
 * neighbour that was lost): functions are weak, so the linker takes the first, and what nobody needs is left out. */
#include "runtime/device/objects.h"

#include "base/file.h"
#include "base/scan.h"
#include "base/str.h"
#include "runtime/device/cache_entry.h"
#include "runtime/device/cache_folder.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char index_name[] = "objects.index";
static const char symbol_start[] = "nd_";
enum { SYMBOL_DIGITS = 32, SYMBOL = 3 + SYMBOL_DIGITS, KEY = 64, LINE = SYMBOL + 1 + KEY + 1 };

/* A function under its symbol. */
typedef struct Function {
    const char *name, *symbol;
    const char *text; /* with the symbols of those that it calls */
    const char *head; /* of text: the parameters */
    int call_count, call_capacity;
    const struct Function **calls; /* may hold one several times */
    bool is_there;                 /* in an object of the cache */
    int unit;                      /* else it is compiled in this one */
} Function;

typedef struct Objects {
    const RtCompiling *work;
    Arena *arena;
    const CgDefinitions *definitions;
    const char *base;    /* the hash of what all functions are compiled with */
    Function *functions; /* in the order of definitions */
    int object_count, object_capacity;
    const char **objects; /* paths, of the cache */
    int *holds;           /* the open files */
    int unit_count, unit_capacity;
    Str **units; /* sources that have to be compiled; the first is the table: cold or warm, links have one order */
} Objects;

/* ---- symbols ---- */

/* text with symbols instead of the names of functions that are known; f: whose text it is. */
static const char *with_symbols(Objects *o, const StrMap *known, Function *f, const char *text) {
    Str out = str_create(o->arena);
    for (const char *next; (next = strstr(text, symbol_start)); text = next) {
        const char *end = scan_skip_word(next);
        const Function *callee = str_map_get(known, arena_strndup(o->arena, next, (size_t)(end - next)));
        if (callee)
            ARENA_PUSH(o->arena, f->calls, f->call_count, f->call_capacity, callee);
        str_add_bytes(&out, text, (size_t)(next - text));
        str_add_bytes(&out, callee ? callee->symbol : next, callee ? SYMBOL : (size_t)(end - next));
        next = end;
    }
    str_add(&out, text);
    return out.data;
}

static void name_functions(Objects *o) {
    const CgDefinitions *d = o->definitions;
    StrMap known = str_map_create(o->arena);
    Str common = str_create(o->arena);
    str_addf(&common, "object 1\n%s\n%s\n%s", o->work->options, o->work->compiler->version, d->prelude);
    o->base = str_hash(&common);
    o->functions = ARENA_ARRAY(o->arena, Function, d->count + 1);
    for (int i = 0; i < d->count; i++) {
        Function *f = &o->functions[i];
        f->name = d->list[i].name;
        f->text = with_symbols(o, &known, f, d->list[i].text);
        f->head = arena_strndup(o->arena, f->text, (size_t)(strstr(f->text, "\n{") - f->text));
        Str all = str_create(o->arena);
        str_addf(&all, "%s\n%s", o->base, f->text);
        f->symbol = arena_printf(o->arena, "%s%.*s", symbol_start, SYMBOL_DIGITS, str_hash(&all));
        str_map_set(&known, f->name, f);
    }
}

/* ---- what there is ---- */

static bool is_line(const char *line) {
    static const char digits[] = "0123456789abcdef";
    return strncmp(line, symbol_start, 3) == 0 && strspn(line + 3, digits) == SYMBOL_DIGITS && line[SYMBOL] == ' ' &&
           strspn(line + SYMBOL + 1, digits) == KEY && line[LINE - 1] == '\n';
}

/* Symbols to the keys of their objects. The last line of a symbol holds. */
static StrMap read_index(Arena *arena) {
    StrMap index = str_map_create(arena);
    const char *line = rt_cache_read_text(arena, index_name);
    for (const char *end; line && (end = strchr(line, '\n')); line = end + 1)
        if (end - line == LINE - 1 && is_line(line))
            str_map_set(&index, arena_strndup(arena, line, SYMBOL), arena_strndup(arena, line + SYMBOL + 1, KEY));
    return index;
}

static const char *object_name(Arena *arena, const char *key) {
    return arena_printf(arena, "%s.o", key);
}

/* Takes an object of the cache for linking; false when it is not there, or damaged. */
static bool hold_object(Objects *o, const char *folder, const char *key) {
    int file = rt_cache_hold(o->arena, object_name(o->arena, key));
    if (file < 0)
        return false;
    o->holds[o->object_count] = file;
    const char *path = arena_printf(o->arena, "%s/%s", folder, object_name(o->arena, key));
    ARENA_PUSH(o->arena, o->objects, o->object_count, o->object_capacity, path);
    return true;
}

static void find_objects(Objects *o) {
    Error ignored = {ERROR_NONE, ""};
    const char *folder = rt_cache_folder(o->arena, &ignored);
    StrMap index = read_index(o->arena), tried = str_map_create(o->arena);
    o->holds = ARENA_ARRAY(o->arena, int, o->definitions->count + 1);
    static char whole, lost;
    for (int i = 0; folder && i < o->definitions->count; i++) {
        const char *key = str_map_get(&index, o->functions[i].symbol);
        if (!key)
            continue;
        if (!str_map_get(&tried, key))
            str_map_set(&tried, key, hold_object(o, folder, key) ? &whole : &lost);
        o->functions[i].is_there = str_map_get(&tried, key) == &whole;
    }
}

static void release_objects(const Objects *o) {
    for (int i = 0; i < o->object_count; i++)
        close(o->holds[i]);
}

/* ---- what is made ---- */

static void declare(Str *out, const Function *f) {
    str_addf(out, "ND_HIDDEN void %s%s;\n", f->symbol, f->head);
}

static Str *begin_unit(Objects *o) {
    Str *unit = ARENA_NEW(o->arena, Str);
    *unit = str_create(o->arena);
    str_add(unit, o->definitions->prelude);
    ARENA_PUSH(o->arena, o->units, o->unit_count, o->unit_capacity, unit);
    return unit;
}

static size_t bytes_left(const Objects *o) {
    size_t total = 0;
    for (int i = 0; i < o->definitions->count; i++)
        total += o->functions[i].is_there ? 0 : strlen(o->functions[i].text);
    return total;
}

/* Bytes of source that make a unit: enough to be worth its prelude, and so little that compilers side by side all have
 * work. Functions in the order of the text are alike, and needed together. */
static size_t choose_unit_size(const Objects *o) {
    enum { LEAST = 12000, MOST = 300000, SHARES = 8 };
    size_t share = bytes_left(o) / SHARES;
    return share < LEAST ? LEAST : share > MOST ? MOST : share;
}

static void make_units(Objects *o) {
    size_t size = choose_unit_size(o), used = size;
    Str *unit = NULL;
    for (int i = 0; i < o->definitions->count; i++) {
        Function *f = &o->functions[i];
        if (f->is_there)
            continue;
        if (used >= size) {
            unit = begin_unit(o);
            used = 0;
        }
        for (int c = 0; c < f->call_count; c++)
            declare(unit, f->calls[c]);
        declare(unit, f);
        str_addf(unit, "__attribute__((weak)) void %s%s", f->symbol, f->text);
        f->unit = o->unit_count - 1;
        used += strlen(f->text);
    }
}

/* In it kernels go by their names in the plan. */
static void make_table(Objects *o) {
    Str *unit = begin_unit(o);
    for (int i = 0; i < o->definitions->count; i++)
        str_addf(unit, "#define %s %s\n", o->functions[i].name, o->functions[i].symbol);
    str_add(unit, o->definitions->table);
}

/* ---- keeping it ---- */

/* The index, to write at its end; a file that is not ours, or no file, gives way. */
static int open_index(const char *path) {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
    struct stat status;
    int file = open(path, flags, 0600);
    if (file >= 0 && fstat(file, &status) == 0 && cache_file_is_own(&status))
        return file;
    if (file >= 0)
        close(file);
    unlink(path);
    return open(path, flags | O_EXCL, 0600);
}

/* In one write, behind whatever another program wrote at the same time. */
static void add_lines(Arena *arena, const Str *lines) {
    enum { MOST = 20000000 }; /* of two hundred thousand functions: time to begin again */
    Error ignored = {ERROR_NONE, ""};
    const char *folder = rt_cache_folder(arena, &ignored);
    int file = folder ? open_index(arena_printf(arena, "%s/%s", folder, index_name)) : -1;
    if (file < 0)
        return;
    bool ok = flock(file, LOCK_EX) == 0 && (lseek(file, 0, SEEK_END) < MOST || ftruncate(file, 0) == 0) &&
              file_write_all(file, lines->data, lines->length);
    close(file);
    if (!ok)
        unlink(arena_printf(arena, "%s/%s", folder, index_name));
}

/* The objects of all units but the table's. It only saves time later, so a failure is none. */
static void keep_objects(const Objects *o, const char *const *paths) {
    Arena *arena = o->arena;
    Error ignored = {ERROR_NONE, ""};
    const char **keys = ARENA_ARRAY(arena, const char *, o->unit_count);
    Str lines = str_create(arena);
    str_add(&lines, "\n"); /* ends a line that was cut short */
    for (int i = 1; i < o->unit_count; i++) {
        Str all = str_create(arena);
        str_addf(&all, "%s%s", o->base, o->units[i]->data);
        keys[i] = str_hash(&all);
        if (!rt_cache_adopt(arena, paths[i], object_name(arena, keys[i]), &ignored))
            return;
    }
    for (int i = 0; i < o->definitions->count; i++)
        if (!o->functions[i].is_there)
            str_addf(&lines, "%s %s\n", o->functions[i].symbol, keys[o->functions[i].unit]);
    if (o->unit_count > 1)
        add_lines(arena, &lines);
}

bool rt_objects_build(const RtCompiling *work, const CgDefinitions *definitions, const char **module, Error *error) {
    Objects o = {.work = work, .arena = work->arena, .definitions = definitions};
    name_functions(&o);
    find_objects(&o);
    make_table(&o);
    make_units(&o);
    int count = o.unit_count + o.object_count;
    const char **paths = ARENA_ARRAY(o.arena, const char *, count), **units = ARENA_ARRAY(o.arena, const char *, count);
    for (int i = 0; i < o.unit_count; i++)
        units[i] = o.units[i]->data;
    memcpy(paths + o.unit_count, o.objects, sizeof *o.objects * (size_t)o.object_count);
    bool ok =
        rt_compile_units(work, o.unit_count, units, paths, error) && rt_link_objects(work, count, paths, module, error);
    if (ok && !work->draft)
        keep_objects(&o, paths);
    release_objects(&o);
    return ok;
}

RtObjectsLeft rt_objects_left(const RtCompiling *work, const CgDefinitions *definitions) {
    Objects o = {.work = work, .arena = work->arena, .definitions = definitions};
    name_functions(&o);
    find_objects(&o);
    release_objects(&o);
    RtObjectsLeft left = {.all = definitions->count, .bytes = bytes_left(&o)};
    for (int i = 0; i < definitions->count; i++)
        left.functions += !o.functions[i].is_there;
    return left;
}
