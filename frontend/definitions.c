/* definitions.c: what a genotype of a space needs of the texts it was searched in, as one text that stands by itself:
 *
 *     import "darts.nd"                      files of the library that define something needed, by their names
 *
 *     op my_conv(C, stride) = ...            the user's own definitions that are needed, without their comments
 *
 * So a genotype depends neither on where the searched text lies nor on what becomes of it. Needed are the candidates,
 * the network that the genotype is put into, and whatever their definitions name; and what the space does around its
 * candidates, which is kept as well, for spaces of fewer candidates. */
#include "frontend/lower.h"
#include "ir/settings.h"

#include <string.h>

typedef struct Needs {
    Lower *l;
    StrMap names; /* of definitions that are needed */
} Needs;

static bool is_of_library(const Lower *l, const Ast *definition) {
    return sema_is_of_library(l->library, definition->span.file);
}

static const char *file_name(const Ast *ast) {
    const char *path = ast->span.file->path, *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- what is needed ---- */

static void need_all(Needs *needs, const Ast *ast);

static void need_name(Needs *needs, const char *name) {
    const Ast *definition = str_map_get(needs->l->globals, name);
    if (!definition || str_equal(name, "main") || str_map_get(&needs->names, name))
        return;
    str_map_set(&needs->names, name, (void *)definition);
    /* The library's own definitions come with its files. */
    if (!is_of_library(needs->l, definition))
        need_all(needs, definition);
}

static void need_all(Needs *needs, const Ast *ast) {
    if (ast->kind == AST_name)
        need_name(needs, ast->name);
    for (int i = 0; i < ast->count; i++)
        if (ast->kids[i])
            need_all(needs, ast->kids[i]);
}

static void need_space(Needs *needs, const Ast *space) {
    for (int i = 0; i < space->count; i++) {
        const Ast *setting = space->kids[i];
        need_all(needs, setting->kind == AST_rule ? setting->kids[1] : setting);
    }
}

/* ---- the text ---- */

static const Ast *find_text(const Lower *l, const Ast *definition) {
    for (int i = 0; i < l->program->text_count; i++)
        if (l->program->texts[i]->span.file == definition->span.file)
            return l->program->texts[i];
    return NULL;
}

/* Whether the file of `to` comes with the file of `from`: files of the library import each other by their names. */
static bool comes_with(const Lower *l, const Ast *to, const Ast *from) {
    const Ast *text = find_text(l, from);
    for (int i = 0; text && i < text->count; i++)
        if (text->kids[i]->kind == AST_import && str_equal(text->kids[i]->name, file_name(to)))
            return true;
    return false;
}

static void add_imports(Needs *needs, Str *out) {
    const Ast **files = ARENA_ARRAY(needs->l->arena, const Ast *, needs->names.count + 1);
    int count = 0;
    for (size_t i = 0; i < needs->names.count; i++) {
        const Ast *definition = needs->names.entries[i].value;
        bool there = !is_of_library(needs->l, definition);
        for (int k = 0; k < count && !there; k++)
            there = files[k]->span.file == definition->span.file || comes_with(needs->l, definition, files[k]);
        if (there)
            continue;
        files[count++] = definition;
        str_add(out, "import ");
        str_add_quoted(out, file_name(definition));
        str_add(out, "\n");
    }
}

/* In the order of the texts. */
static void add_definitions(Needs *needs, Str *out) {
    const StrMap *globals = needs->l->globals;
    for (size_t i = 0; i < globals->count; i++) {
        const Ast *definition = globals->entries[i].value;
        if (!str_map_get(&needs->names, globals->entries[i].key) || is_of_library(needs->l, definition))
            continue;
        str_add(out, out->length ? "\n" : "");
        ast_print_definition(definition, out);
        str_add(out, "\n");
    }
}

/* ---- the network that a genotype is put into ---- */

static bool is_setting(const char *name) {
    static const char *const names[] = {"classes", "channels", "H", "W"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

static const Ast *find_param(const Ast *network, const char *name) {
    for (int i = 0; network->kids[0] && i < network->kids[0]->count; i++)
        if (str_equal(network->kids[0]->kids[i]->name, name))
            return network->kids[0]->kids[i];
    return NULL;
}

/* `network main = mine(C = 8)` stands for that call. */
static const Ast *follow_names(const StrMap *globals, const Ast *expression) {
    for (int i = 0; i < 60 && expression->kind == AST_name; i++) {
        const Ast *network = str_map_get(globals, expression->name);
        if (!network || network->kind != AST_network || network->kids[0] || network->kids[2]->kind == AST_block)
            break;
        expression = network->kids[2];
    }
    return expression;
}

static void add_argument(Str *out, const char *name, const Ast *value) {
    str_addf(out, "%s%s = ", out->length ? ", " : "", name);
    ast_print(value, out);
}

/* What the search gives its network, but for the space and what the data say. */
static void add_call_arguments(Needs *needs, const Ast *network, const Ast *call, const char *genotype, Str *out) {
    int position = 0;
    for (int i = 1; call->kind == AST_call && i < call->count; i++) {
        const Ast *kid = call->kids[i], *value = kid->kind == AST_arg ? kid->kids[0] : kid;
        const char *name = kid->kind == AST_arg ? kid->name : network->kids[0]->kids[position++]->name;
        if (str_equal(name, genotype) || is_setting(name))
            continue;
        need_all(needs, value);
        add_argument(out, name, value);
    }
}

static void add_data_arguments(const Lower *l, const Ast *network, Str *out) {
    static const char *const names[] = {"classes", "channels", "H", "W"};
    static const int facts[] = {SETTING_network_classes, SETTING_network_channels, SETTING_network_height,
                                SETTING_network_width};
    const Settings s = settings_read(l->module);
    const int64_t values[] = {s.network.classes, s.network.channels, s.network.height, s.network.width};
    for (int i = 0; i < 4; i++)
        if (find_param(network, names[i]) && s.given[facts[i]])
            str_addf(out, "%s%s = %lld", out->length ? ", " : "", names[i], (long long)values[i]);
}

/* The search's own network, with the genotype in the place of the space. False when it has no such place. */
static bool put_into_own_network(Needs *needs, const Ast *expression) {
    Lower *l = needs->l;
    const Ast *network = network_template(l->globals, expression), *call = follow_names(l->globals, expression);
    if (!network)
        return false;
    const char *genotype = find_param(network, "space") ? "space" : find_param(network, "genotype") ? "genotype" : NULL;
    if (!genotype)
        return false;
    Str arguments = str_create(l->arena);
    str_add(&arguments, "");
    add_call_arguments(needs, network, call, genotype, &arguments);
    add_data_arguments(l, network, &arguments);
    need_name(needs, network->name);
    ir_module_set(l->module, "space.network", ir_attr_string("", network->name), expression->span);
    ir_module_set(l->module, "space.genotype_parameter", ir_attr_string("", genotype), expression->span);
    ir_module_set(l->module, "space.network_arguments", ir_attr_string("", arguments.data), expression->span);
    return true;
}

/* The cells that `cifar` has. */
static bool fits_cifar(const Lower *l) {
    const Settings s = settings_read(l->module);
    const IrAttr *alphas = s.space.alphas;
    return str_map_get(l->globals, "cifar") && s.space.inputs == 2 && alphas && alphas->count == 2 &&
           str_equal(alphas->symbols[0], "alphas_normal") && str_equal(alphas->symbols[1], "alphas_reduce");
}

static void choose_network(Needs *needs, const Ast *expression) {
    IrModule *module = needs->l->module;
    const char *own = settings_read(module).space.network;
    if (own)
        need_name(needs, own);
    else if (fits_cifar(needs->l))
        need_name(needs, "cifar");
    else if (!put_into_own_network(needs, expression))
        ir_module_set(module, "space.network", ir_attr_string("", ""), expression->span);
}

/* What is between the braces of a space, but for its candidates. */
static const char *around_candidates(Lower *l, const Ast *space) {
    Str out = str_create(l->arena);
    str_add(&out, "");
    for (int i = 0; i < space->count; i++) {
        const Ast *setting = space->kids[i];
        bool edge = setting->kind == AST_rule && str_equal(setting->name, "edge");
        if (edge || str_equal(setting->name, "candidates"))
            continue;
        ast_print_setting(setting, &out);
        str_add(&out, "\n");
    }
    return out.data;
}

void lower_genotype_settings(Lower *l, const Ast *space, const Ast *network) {
    Needs needs = {l, str_map_create(l->arena)};
    Str out = str_create(l->arena);
    str_add(&out, "");
    need_space(&needs, space);
    choose_network(&needs, network);
    add_imports(&needs, &out);
    add_definitions(&needs, &out);
    ir_module_set(l->module, "space.definitions", ir_attr_string("", out.data), space->name_span);
    ir_module_set(l->module, "space.around", ir_attr_string("", around_candidates(l, space)), space->name_span);
}
