/* settings.h: the settings of an experiment: their values as structs, the table of settings.def that says what they may
 * be, and rules between them. */
#ifndef NDARTS_IR_SETTINGS_H
#define NDARTS_IR_SETTINGS_H

#include "ir/data_sources.h"
#include "ir/graph_kind.h"
#include "ir/ir.h"
#include "ir/optimizers.h"

#include <stdio.h>

/* ---- the values ---- */
typedef int64_t SettingC_int;
typedef double SettingC_real;
typedef bool SettingC_bool;
typedef const char *SettingC_word, *SettingC_schedule, *SettingC_weights; /* NULL: none */
typedef const IrAttr *SettingC_symbols;                                   /* likewise */

/* SearchSettings, OptimizerSettings, ...: a struct for each section of the table. */
#define SECTION(struct_name, member) typedef struct struct_name {
#define SECTION_END(struct_name, member)                                                                               \
    }                                                                                                                  \
    struct_name;
#define SECTION_AGAIN(struct_name, member) struct some_of_##member {
#define SECTION_AGAIN_END(struct_name, member)                                                                         \
    }                                                                                                                  \
    ;
#define SETTING(member, field, key, type, ...) SettingC_##type field;
#define FACT(member, field, key, type, ...) SettingC_##type field;
#include "ir/settings.def"
#undef SECTION
#undef SECTION_END
#undef SECTION_AGAIN
#undef SECTION_AGAIN_END
#undef SETTING
#undef FACT

enum {
#define SECTION(...)
#define SECTION_END(...)
#define SECTION_AGAIN(...)
#define SECTION_AGAIN_END(...)
#define SETTING(member, field, ...) SETTING_##member##_##field,
#define FACT(member, field, ...) SETTING_##member##_##field,
#include "ir/settings.def"
#undef SECTION_END
#undef SECTION_AGAIN_END
#undef SETTING
#undef FACT
    SETTING_COUNT
};

/* All settings of a module, with the defaults of those that it leaves out. */
typedef struct Settings {
#undef SECTION
#undef SECTION_AGAIN
#define SECTION(struct_name, member) struct_name member;
#define SECTION_AGAIN(struct_name, member) struct_name member;
#define SECTION_END(...)
#define SECTION_AGAIN_END(...)
#define SETTING(...)
#define FACT(...)
#include "ir/settings.def"
#undef SECTION
#undef SECTION_END
#undef SECTION_AGAIN
#undef SECTION_AGAIN_END
#undef SETTING
#undef FACT
    bool given[SETTING_COUNT]; /* whether the module says so: given[SETTING_data_crop] */
} Settings;

/* settings_read.c. What a value of the wrong type stands for is as if it were not there. */
Settings settings_read(const IrModule *module);
bool settings_are_of(const Settings *settings, const char *kind); /* "search", "train" or "network" */
/* Of several ranks, whether each has batch norm's statistics of its own images. */
bool settings_batch_norm_is_local(const Settings *settings);
/* The step graph that moves the alphas: search-alphas, or search-second of a search of second order. */
GraphKind settings_alphas_graph(const Settings *settings);
/* Of the search or the training. */
int64_t settings_epochs(const Settings *settings);
/* Images of a step: search.batch, or train.batch of a text without it. */
int64_t settings_batch(const Settings *settings);
/* "search.batch" or "train.batch", whichever that is */
const char *settings_batch_key(const Settings *settings);
/* "balanced", or numbers; NULL: the classes count alike. */
const char *settings_class_weights(const Settings *settings);
/* Whether a training mixes its images, so that each has parts of classes. */
bool settings_mix_images(const Settings *settings);
/* The candidates of an edge of the cell KIND; NULL when the module does not say. */
const IrAttr *settings_candidates(const IrModule *module, const char *kind, int edge);

/* ---- the table ---- */
typedef enum SettingType {
    SETTING_int,
    SETTING_real,
    SETTING_bool,
    SETTING_word,
    SETTING_schedule,
    SETTING_weights,
    SETTING_symbols
} SettingType;

typedef struct SettingRow {
    const char *key;
    SettingType type;
    bool is_fact;          /* which nobody sets */
    const char *allowed;   /* an interval such as "[0,1)", words such as "first|second", or "" */
    const char *otherwise; /* as in a text: "600"; "= ..." says on what it depends; "" for none */
    const char *meaning;
    size_t place; /* in Settings */
} SettingRow;
extern const SettingRow setting_rows[SETTING_COUNT];

const SettingRow *setting_row(const char *key); /* NULL when there is none that is set */
/* What is wrong with a value: "'data.hue' is 0.7; expected 0 to 0.5"; NULL when nothing is. An integer may stand for a
 * real. */
const char *setting_mistake(Arena *arena, const SettingRow *row, const IrAttr *value);
/* Whether the word is one of those allowed. */
bool setting_has_word(const SettingRow *row, const char *word);
/* "an integer", "a number", "true or false", "a name or a string" */
const char *setting_type_name(SettingType type);
/* The table as Markdown: what `ndartsc --list-settings` prints, and what docs/settings.md holds. */
void settings_print_table(FILE *out);

/* Says, each where it is set, which values are no good in themselves. */
void settings_check_values(const IrModule *module, Diag *diag);
/* Likewise, which do not go together: a warm-up longer than the training, a crop larger than the images, ... */
void settings_check_rules(const IrModule *module, Diag *diag);

#endif
