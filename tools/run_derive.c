/* run_derive.c: `ndarts-run derive`. */
#include "tools/ndarts_run.h"

#include "base/tensor_file.h"
#include "runtime/loops/genotype.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool write_results(const Options *o, const Genotype *genotype, Error *error) {
    if (!options_write(o, genotype->text, strlen(genotype->text), error))
        return false;
    if (!o->draw)
        return true;
    if (mkdir(o->draw, 0777) != 0 && errno != EEXIST)
        return error_set(error, ERROR_INPUT, "cannot make the folder '%s': %s", o->draw, strerror(errno));
    if (!genotype_write_dot(o->arena, o->draw, genotype, error))
        return false;
    if (!genotype_draw(o->arena, o->draw, genotype))
        fprintf(stderr, "no .svg files: Graphviz's dot is not installed or failed\n");
    return true;
}

bool run_derive(const Options *o, Error *error) {
    GenotypeSource source = {.file = options_input(o),
                             .spec = o->spec,
                             .name = o->name,
                             .epoch = o->epoch,
                             .keep_ops = (int)o->keep_ops,
                             .sets = o->sets.items,
                             .set_count = o->sets.count};
    Genotype genotype;
    if (!source.file)
        return error_set(error, ERROR_INPUT, "derive needs a checkpoint or a file of architecture parameters");
    if (o->keep_ops && o->draw)
        return error_set(error, ERROR_INPUT, "--keep-ops makes a space, which has nothing to --draw");
    return genotype_derive(o->arena, &source, &genotype, error) && write_results(o, &genotype, error);
}
