/* settings.h: what the settings of an experiment may be: the table of settings.def, and rules between them. */
#ifndef NDARTS_IR_SETTINGS_H
#define NDARTS_IR_SETTINGS_H

#include "ir/ir.h"

typedef enum SettingType { SETTING_int, SETTING_real, SETTING_bool, SETTING_word, SETTING_weights } SettingType;

typedef struct SettingRow {
    const char *key;
    SettingType type;
    const char *allowed; /* an interval such as "[0,1)", words such as "first|second", or "" */
} SettingRow;

enum {
#define SETTING(key, type, allowed) +1
    SETTING_COUNT = 0
#include "ir/settings.def"
#undef SETTING
};
extern const SettingRow setting_rows[SETTING_COUNT];

const SettingRow *setting_row(const char *key); /* NULL when there is none */
/* What is wrong with a value: "'data.hue' is 0.7; expected 0 to 0.5"; NULL when nothing is. An integer may stand for a
 * real. */
const char *setting_mistake(Arena *arena, const SettingRow *row, const IrAttr *value);
/* Whether the word is one of those allowed. */
bool setting_has_word(const SettingRow *row, const char *word);
/* "an integer", "a number", "true or false", "a name or a string" */
const char *setting_type_name(SettingType type);

/* Says, each where it is set, which values are no good in themselves. */
void settings_check_values(const IrModule *module, Diag *diag);
/* Likewise, which do not go together: a warm-up longer than the training, a crop larger than the images, ... */
void settings_check_rules(const IrModule *module, Diag *diag);

#endif
