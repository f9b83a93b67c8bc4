/* lower.h: the partial evaluator that turns checked definitions into IR. Private to frontend/.
 *
 * Everything that is not a tensor is computed now; applying a stage to a tensor adds nodes to the graph under
 * construction. An operation of the text becomes a function of the module, one for each combination of arguments and
 * input shapes (Instance); elementwise functions, cells and networks are written out where they are used.
 *
 * A name in a body is a parameter or variable of that body, or a definition. Only a parameter that was not given looks
 * further: it takes the value of the variable of that name where the operation is used, or where that user is used, and
 * so on. */
#ifndef NDARTS_FRONTEND_LOWER_H
#define NDARTS_FRONTEND_LOWER_H

#include "frontend/frontend.h"
#include "frontend/sema.h"
#include "frontend/value.h"
#include "ir/optimizers.h"

/* Definitions that are being evaluated, the innermost first: one that comes up again is defined by itself. */
typedef struct Pending {
    const struct Pending *outer;
    const Ast *definition;
} Pending;

/* A graph under construction. */
typedef struct Target {
    IrBuilder builder;
    const char *prefix; /* of the parameters made now: "cells.0.preprocess0", "op.1"; "" outside */
    StrMap names;       /* names of the parameters so far, relative to the graph */
} Target;

/* A definition's body at work. */
typedef struct Frame Frame;
struct Frame {
    Frame *caller;
    StrMap variables;          /* Value * */
    const Ast *definition;     /* NULL: outside of all */
    const char *name;          /* what the user calls it, when that is not the definition's name: sep_conv_3x3 */
    Span call;                 /* where it is used */
    struct Instance *instance; /* the function it makes; NULL: written out in the caller's graph */
    bool returned;
    Value result;
    /* cell of a genotype: the operations applied are edges, named _ops.0, _ops.1, ... */
    bool cell;
    int edge_count;
    int input_count;
    IrNode **inputs;
    Value stride;      /* of edges from inputs */
    const char *names; /* of the edges' parameters, lower_edge_params; NULL: as the edges */
};

/* A variable that lies outside of an operation and that its function depends on. */
typedef struct Read {
    const char *name;
    bool found;
    Value value;
} Read;

typedef struct Instance {
    const Ast *definition;        /* AST_op, or the rule of a space that puts something after a candidate */
    const struct Instance *inner; /* the candidate, for a rule */
    Bindings args;                /* all parameters */
    int input_count;
    IrType *inputs;
    int read_count, read_capacity;
    Read *reads;
    IrGraph *graph;
    StrMap names;                 /* of its parameters, relative */
    struct Instance *next, *last; /* of the same definition; the first one knows the last */
} Instance;

/* A clause of a method that the search uses (method.c). */
typedef struct Clause {
    const Ast *method, *rule;
    Bindings args;    /* the method's parameters */
    Span use;         /* where the search names the method */
    bool about_input; /* candidate: of its argument, not its result */
    StrMap
        functions; /* names of the functions that do it. candidate: by the type of the argument; perturb, ascend: by the name of
                         the parameters */
} Clause;

/* What `mixed` and `edge` know of the place that they are about. */
extern const char *const clause_edge_names[];
enum { CLAUSE_EDGE_NAME_COUNT = 2 };

/* What random numbers are shaped like and named after, in the clause that is being evaluated. */
typedef struct DrawPlace {
    const IrType *type;
    const char *of; /* "alphas_normal"; NULL: the edge that the function is used in */
    int clause;     /* its number among the clauses of its kind, from 1 */
    int count;      /* draws so far in it */
} DrawPlace;

/* The architecture parameters of a kind of cell. */
typedef struct Alphas {
    IrNode *parameter; /* [edges, candidates] */
    IrNode *
        weights; /* of the candidates, likewise; NULL: edges have candidates of their own, and are weighed one by one */
    IrNode *betas; /* [edges], of the nodes' edges; NULL: they are added up as they are */
} Alphas;

typedef struct Lower {
    Arena *arena;
    Diag *diag;
    IrModule *module;
    const StrMap *globals; /* const Ast * by name */
    StrMap constants;      /* Value * of definitions that were evaluated */
    const Pending *pending;
    Target *target; /* NULL outside of all graphs: in a setting */
    int instance_count, instance_capacity;
    Instance **instances;
    StrMap instance_index; /* the first Instance * of an operation by its name */
    IrNode *input;         /* of @forward */
    StrMap alphas;         /* "normal" -> Alphas * */
    int clause_count, clause_capacity;
    Clause *clauses;        /* of the methods of the search, in order */
    bool in_clause;         /* of a method, or in a schedule: linear, cosine, ... are schedules */
    struct SuperEdge *edge; /* whose clause `mixed` is being evaluated; NULL: none */
    IrModule *weighing;     /* what the clause `weights` does to alphas of each shape, for the setting keep.weights */
    DrawPlace *draws;       /* NULL: random numbers have no place here */
    const struct Sets *sets;
    int depth;     /* of definitions that use each other */
    int nesting;   /* of expressions that are evaluated */
    int64_t steps; /* expressions evaluated */
    bool gave_up;  /* there is no end: nothing more is evaluated */
    const Program *program;
    const char *library;    /* folder of the definitions that come with ndarts, or NULL */
    const SourceFile *text; /* what is compiled, rather than what it imports */
    const Ast *own_data;    /* of the text that a recipe is applied to; or NULL */
    bool is_recipe;
    FrontendLookAt *look_at; /* FrontendOptions.look_at */
} Lower;

/* ---- expressions and statements (eval.c) ---- */
Value lower_eval(Lower *l, Frame *f, const Ast *ast);
void lower_run_block(Lower *l, Frame *f, const Ast *block);
/* Of definitions that are written out in each other: operations, cells, networks. */
enum { MAX_INSIDE = 60 };
Value lower_name(Lower *l, Frame *f, const Ast *name);
Frame *lower_frame(Lower *l, Frame *caller, const Ast *definition, Span call);
void lower_set_variable(Lower *l, Frame *f, const char *name, Value value);
/* An error at span, followed by where the definitions around it are used. */
Value lower_error(Lower *l, Frame *f, Span span, const char *format, ...) __attribute__((format(printf, 4, 5)));
void lower_note_uses(Lower *l, Frame *f);
/* The innermost use of the definitions around f that stands in the text itself; `otherwise` when there is none. */
Span lower_place_in_text(Lower *l, Frame *f, Span otherwise);
/* Says that it does not end, once, and stops all evaluation. */
Value lower_give_up(Lower *l, Frame *f, Span span, const char *what);
/* Takes steps from what a text may use of them: an expression takes one, whatever else is done as often as a text says
 * takes as many as that is work. False, and an error, when there are none left. */
bool lower_spend(Lower *l, Frame *f, Span span, int64_t steps);
/* The graph is complete: false, and an error, when it would be too large with all its calls written out. */
bool lower_measure(Lower *l, Frame *f, Span span, IrGraph *graph);
/* Likewise, of definitions that use each other more than so deep: names the circle that f is in when there is one. */
Value lower_give_up_circle(Lower *l, Frame *f, Span span, const char *what, int deep);
/* Puts a definition on the list of those being evaluated, until lower_leave; false, and an error that names the circle,
 * when it is there already. */
bool lower_enter(Lower *l, Pending *pending, const Ast *definition);
void lower_leave(Lower *l);

/* ---- calls (call.c) ---- */
/* The arguments of a call. */
typedef struct Arguments {
    int count; /* given by position */
    Value *values;
    Span *spans;
    Bindings named;
    Span span; /* of the whole call */
} Arguments;
Value lower_call(Lower *l, Frame *f, const Ast *call);
bool lower_arguments(Lower *l, Frame *f, const Ast *call, Arguments *out);
/* Applies a stage to tensors; label, when not NULL, is the name the stage has by its place in a pipe. */
Value lower_apply(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span);
/* Matches arguments with parameter lists: fills the frame's variables. What is not given comes from the surroundings,
 * then from the default. The list of what was bound goes to bound (may be NULL). False when something is missing or too
 * much. */
bool lower_bind(Lower *l, Frame *frame, const Ast *params, const Bindings *given, Bindings *bound);
/* Positional and named arguments as bindings to the parameters of one list, starting at parameter `first`. */
bool lower_match(Lower *l, Frame *f, const char *what, const Ast *params, int first, const Arguments *arguments,
                 Bindings *out);
bool lower_lookup(Frame *from, Arena *arena, const char *name, Value *value);

/* ---- operations (instance.c) ---- */
/* The function of an operation for these inputs. NULL after an error. */
Instance *lower_instance(Lower *l, Frame *f, const Stage *op, int count, const IrType *inputs, Span span);
/* The function that does inner and then what the rule of a space says; the stage's parameters are named in that
 * function. */
Instance *lower_instance_after(Lower *l, Frame *f, const Instance *inner, const Ast *rule, const Stage *after);
/* Applies an operation: a call to its function, whose parameters are named by the target's prefix. edge: the name of the
 * edge that it is; NULL: it is none. */
Value lower_apply_op(Lower *l, Frame *f, const Stage *op, int count, const Value *inputs, const char *edge, Span span);
/* "cells.0" and "op" -> "cells.0.op"; a label that begins with '^' stands alone. */
const char *lower_join(Arena *arena, const char *prefix, const char *label);
/* Enters a parameter's name in the graph under construction; false (and an error) when it is taken. */
bool lower_claim_name(Lower *l, Frame *f, const char *name, Span span);

/* Nodes go to the graph from now on, until the caller sets l->target back. */
void lower_begin_target(Lower *l, Target *target, IrGraph *graph, Span span);

/* ---- methods (method.c) ---- */
/* method NAME, method NAME(...), method [NAME, ...] of a search. */
void lower_methods(Lower *l, Frame *f, const Ast *value);
/* A method with these values for its parameters, whose clauses come before those of the others. */
void lower_use_method_first(Lower *l, const Ast *method, const Bindings *given, Span use);
/* Those that a method has for a search which does not say them itself. */
void lower_method_settings(Lower *l, const Ast *experiment);
/* Weights of the candidates: softmax, or what a method says. alphas: [edges, candidates] or one row; name: of the
 * parameter. NULL after a mistake. */
IrNode *lower_weigh(Lower *l, const char *name, IrNode *alphas);
/* Whether a method weighs the edges of nodes, and the weights of these: betas are the part of the parameter that is the
 * node's. NULL after a mistake. */
bool lower_weighs_edges(const Lower *l);
IrNode *lower_weigh_edges(Lower *l, const char *name, IrNode *betas);
/* What the clause `mixed` makes of the state x, in which `candidates` is the sum of those of l->edge; without the clause
 * that sum. NULL after a mistake. */
IrNode *lower_mixed_clause(Lower *l, Frame *f, IrNode *x);
/* perturb.c: the op that puts others in their place where the network's weights move, if a method has some. */
IrNode *lower_perturb(Lower *l, const char *name, IrNode *weights);
/* Is only the candidate of the largest weight computed? */
bool lower_runs_chosen(const Lower *l);
/* What an edge from x gives, whose candidates, weighed by weights (NULL: there are none), come to `mixed`. */
IrNode *lower_edge_clauses(Lower *l, Frame *f, IrNode *x, IrNode *mixed, IrNode *weights);
/* The function of a candidate with all that methods do to it. NULL after a mistake. */
IrGraph *lower_candidate_clauses(Lower *l, const char *op, IrGraph *candidate);
/* Adds the output "penalty" to the graph under construction, when there are alphas and a method has one. */
void lower_penalties(Lower *l);

/* The first clause of a kind; NULL: no method of the search has one. */
Clause *lower_find_clause(const Lower *l, const char *kind);
/* Where it is evaluated: with the parameters of its method. */
Frame *lower_clause_frame(Lower *l, Frame *f, const Clause *clause);
/* What a clause gives, of this type; NULL after a mistake. draws: of the random numbers in it; NULL: it has none. */
IrNode *lower_eval_clause(Lower *l, Frame *frame, const Clause *clause, const IrType *type, DrawPlace *draws);
/* A function that a clause is: between these two what is lowered goes into a new graph, called stem, or stem_2 and so on. The end gives
 * its name, which is kept in the clause under the key; NULL after a mistake. The caller puts l->target back. */
IrGraph *lower_begin_clause_graph(Lower *l, const Clause *clause, const char *stem, Target *target);
const char *lower_end_clause_graph(Lower *l, Frame *frame, Clause *clause, const char *key, IrGraph *graph,
                                   IrNode *result);
/* The operation that a name on the left of a clause is: itself, or a parameter of the method; NULL when it is none. */
const char *lower_operation_name(Lower *l, const Frame *frame, const Ast *name, Span use);
/* keep.c: the clause `keep` that begins at kids[*at] becomes settings; *at: what comes after it. */
void lower_keep(Lower *l, Frame *frame, const Ast *section, int *at, Span use);

/* ---- primitives (builtin.c) ---- */
const Builtin *builtin_find(const char *name); /* NULL when there is none */
/* linear, cosine, ...: in clauses of methods these are schedules, whatever they are elsewhere. */
const Builtin *builtin_find_schedule(const char *name);
void builtin_list_names(Arena *arena, const char ***names, int *count);
/* How many parameters may be given by position besides the tensors; parameter names. For the checks before lowering. */
bool builtin_has_param(const Builtin *builtin, const char *name);
int builtin_param_count(const Builtin *builtin);
const char *builtin_name(const Builtin *builtin);
/* "; did you mean 'stride'?" or ": SUMMARY", for a parameter that it has not. */
const char *builtin_param_choices(Arena *arena, const Builtin *builtin, const char *name);
/* A call of a primitive: applies it when the tensors are there, else a stage. */
Value builtin_call(Lower *l, Frame *f, const Builtin *builtin, const Bindings *already, const Arguments *arguments);
Value builtin_apply(Lower *l, Frame *f, const Stage *stage, int count, const Value *inputs, Span span);
/* + - * / and comparisons of which one side is a tensor. */
Value builtin_binary(Lower *l, Frame *f, const char *name, Value left, Value right, Span span);
Value builtin_negate(Lower *l, Frame *f, Value x, Span span);
Value builtin_select(Lower *l, Frame *f, Value condition, Value yes, Value no, Span span);

/* ---- genotypes and spaces (cell.c, space.c) ---- */
Value lower_genotype_field(Lower *l, Frame *f, const Ast *genotype, const char *name, Span span);
Value lower_space_field(Lower *l, Frame *f, const Ast *space, const char *name, Span span);
/* What the parameters of an edge are called, "edges.{to}<-{from}" or "layers.{edge}", behind the target's prefix; from
 * below 0: the states are not known. NULL after a mistake; two edges of one name are one. */
const char *lower_edge_params(Lower *l, Frame *f, const char *names, int edge, int from, int to, Span span);
Value lower_apply_cell(Lower *l, Frame *f, const Stage *cell, int count, const Value *inputs, const Bindings *named,
                       Span span);
Value lower_apply_super(Lower *l, Frame *f, const Stage *cell, int count, const Value *inputs, const Bindings *named,
                        Span span);
/* The weighted sum of the candidates of l->edge, made for as many channels as x has; error after a mistake. */
Value lower_candidates(Lower *l, Frame *f, IrNode *x, Span span);
/* The settings space.*. */
void lower_space_settings(Lower *l, Frame *f, const Ast *space);
/* definitions.c: what a genotype of the space needs around its cells: space.definitions, and space.network,
 * space.genotype_parameter, space.network_arguments when it is not put into `cifar`. network: that of the search, which
 * has been lowered. */
void lower_genotype_settings(Lower *l, const Ast *space, const Ast *network);

/* ---- networks and experiments (network.c, experiment.c, sets.c) ---- */
Value lower_call_network(Lower *l, Frame *f, const Ast *network, const Arguments *arguments, bool entry);
/* Makes @forward of a network's name or call; --set replaces its arguments. False after mistakes. */
bool lower_entry(Lower *l, Frame *f, const Ast *expression);
/* The network whose parameters those are; NULL when it is none. */
const Ast *network_template(const StrMap *globals, const Ast *expression);
/* Settings, then (unless there were mistakes) @forward of the network: false when that failed. clean: the definitions
 * are right, so that the space may be looked at. */
bool lower_experiment(Lower *l, const Ast *experiment, const Ast *network, bool clean);
/* noise.c: a line `noise on CANDIDATE { ... }` becomes settings; later, they the use of a method. */
void lower_noise_line(Lower *l, Frame *f, const Ast *noise);
void lower_noise(Lower *l);
/* class_weights.c: the value becomes the setting KEY; later, that a list has a number for each class. */
void lower_class_weights(Lower *l, const char *key, Value value, Span span);
void lower_check_class_weights(Lower *l);
/* An error at place when the space of the search has no such candidate. */
void lower_check_candidate(Lower *l, const char *op, Span place);
/* ---- settings (setting.c, optimizer_line.c, data_line.c) ---- */
/* A value of a setting of the table, checked against it. */
void lower_setting(Lower *l, const char *key, Value value, Span span);
/* Of an expression of the text; words stand for themselves where the table wants one. */
Value lower_setting_value(Lower *l, Frame *f, const char *key, const Ast *value);
/* linear(1, 0, 50) of a setting, written out: a string. */
Value lower_schedule(Lower *l, Frame *f, const Ast *value);
void lower_setting_expression(Lower *l, Frame *f, const char *key, const Ast *value);
const char *setting_key(Lower *l, const char *section, const char *name);     /* "search.weights" and "lr" */
int setting_find_name(const char *const *names, int count, const char *name); /* -1 when it is not there */
/* An argument of a call that has none of that name. */
void setting_report_argument(Lower *l, const Ast *argument, const char *call, const char *const *names, int count);
/* The name of a call, or NULL. */
const char *setting_called(const Ast *value);
/* A call, or a list of calls of different names. */
void setting_each_call(Lower *l, Frame *f, const Ast *value, void (*lower)(Lower *l, Frame *f, const Ast *call));
/* The optimiser that a text names, sgd(...), or NULL. */
const OptimizerRow *optimizer_named(const Ast *value);
/* section: "search.weights", "search.alphas" or "train.weights" */
void lower_optimizer(Lower *l, Frame *f, const char *section, const Ast *value);
/* watch.c: eigenvalue every N, early_stop ... of a search. */
void lower_eigenvalue(Lower *l, Frame *f, const Ast *value);
void lower_early_stop(Lower *l, Frame *f, const Ast *value);
/* objective.c: objective latency(...) of a search. */
void lower_objective(Lower *l, Frame *f, const Ast *value);
/* data_line.c: the settings data.*, and classes, H, W and channels for the network. data: of the experiment, or NULL.
 */
void lower_data_line(Lower *l, Frame *f, const Ast *data);
/* Whether its source has images of any shape and number of classes: folders, IDX files, images made up. */
bool lower_data_has_any_shape(const Lower *l);
/* Whether the data is that of the command line. */
bool lower_data_is_replaced(const Lower *l);
/* The same of a data line's value outside of an experiment. */
void lower_data(Lower *l, const Ast *data);
const Ast *experiment_network(const Ast *experiment);                   /* the expression; NULL when there is none */
const Ast *experiment_setting(const Ast *experiment, const char *name); /* NULL when there is none */

/* What --set says. */
typedef struct SetValue {
    const char *text; /* "C=16", as given */
    const char *name; /* "C" */
    const char *key;  /* "network.C": what it stands for; NULL when it is in error */
    const Ast *value; /* never NULL: what did not parse is not in the list */
} SetValue;
typedef struct Sets {
    int count;
    SetValue *items;
} Sets;
/* Parses NAME=VALUE; mistakes go to diag, false then, and what has one is left out. */
bool sets_parse(Arena *arena, const char *const *texts, int count, Sets *sets, Diag *diag);
/* Finds what each stands for among the keys of the text: the whole path, or the end of exactly one. */
bool sets_resolve(Arena *arena, Sets *sets, const char *const *keys, int key_count, Diag *diag);
/* The value of "SECTION.NAME" replaces *value when there is one. */
bool lower_override(Lower *l, const char *section, const char *name, Value *value);
/* A module, or what came of it. */
typedef struct Lowered {
    IrModule *module;      /* NULL after mistakes */
    bool misfit;           /* they came up while @forward was made, which has an end */
    int64_t height, width; /* of the images; 0: not known */
    int64_t steps;
} Lowered;
/* What is lowered: a network or an experiment of a program. */
typedef struct Job {
    Arena *arena;
    const struct Program *program;
    const Ast *entry, *network;
} Job;
Lowered lower_job(const Job *job, const Sets *sets, Diag *diag);
/* Whether images of another size would do (sizes.c): the mistake, and where it is; NULL when it is none of the size. */
const char *sizes_explain(const Job *job, const Sets *sets, const Lowered *failed, Span *place);
/* All keys that --set may name for a text whose network is this template (NULL when unknown) and whose experiment is
 * that (or NULL). */
void settings_list_keys(Arena *arena, const Ast *network, const Ast *experiment, const char ***keys, int *count);

#endif
