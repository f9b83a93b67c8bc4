/* run_genotype.c: `ndarts-run genotype`: a genotype as papers, logs and other programs write it down, as a text in the
 * language, or the other way round. */
#include "tools/ndarts_run.h"

#include "base/installed.h"
#include "base/str.h"
#include "runtime/exchange/genotype_write.h"

#include <stdlib.h>
#include <string.h>

static const char *const formats[] = {[GENOTYPE_python] = "python", [GENOTYPE_nb201] = "nb201", "nd"};
enum { FORMAT_nd = GENOTYPE_nb201 + 1, FORMAT_COUNT };

static bool take_auxiliary(const Options *o, GenotypeChoice *choice, Error *error) {
    char *end;
    if (!o->auxiliary)
        return true;
    choice->auxiliary = strtod(o->auxiliary, &end);
    return (*o->auxiliary && !*end && choice->auxiliary >= 0 && choice->auxiliary <= 100) ||
           error_set(error, ERROR_INPUT, "--auxiliary %s: expected the weight of the auxiliary head, 0 for none",
                     o->auxiliary);
}

static bool take_format(const Options *o, int *format, Error *error) {
    *format = FORMAT_nd;
    if (!o->format)
        return true;
    for (*format = 0; *format < FORMAT_COUNT; (*format)++)
        if (str_equal(formats[*format], o->format))
            return true;
    return diag_unknown(o->arena, "format", o->format, formats, FORMAT_COUNT, error);
}

bool run_genotype(const Options *o, Error *error) {
    const char *path = options_input(o), *text = NULL;
    GenotypeChoice choice = o->choice;
    int format;
    choice.pick = o->name;
    choice.epoch = o->epoch;
    choice.auxiliary = -1;
    if (!path)
        return error_set(error, ERROR_INPUT, "genotype needs a file, or - for standard input");
    if (!take_auxiliary(o, &choice, error) || !take_format(o, &format, error))
        return false;
    FrontendOptions options = {.library = installed_library(o->arena), .choice = &choice};
    Diag *diag = diag_create(o->arena, stderr);
    const GenotypeForm *form = frontend_read_genotype(o->arena, path, &options, &text, diag, error);
    if (!form)
        return diag_fail(diag, path, error);
    if (format != FORMAT_nd)
        text = genotype_write(o->arena, path, form, (GenotypeFormat)format, error);
    return text && options_write(o, text, strlen(text), error);
}
