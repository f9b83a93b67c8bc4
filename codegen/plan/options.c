/* options.c: the numbers that modules compute with. */
#include "base/str.h"
#include "codegen/plan/plan_names.h"
#include "codegen/plan/target.h"

#include <stdlib.h>
#include <string.h>

const char *cg_precision_name(CgPrecision precision) {
    return plan_precisions.words[precision];
}

bool cg_precision_parse(const char *option, const char *text, CgPrecision *precision, Error *error) {
    for (int i = 0; i < PRECISION_COUNT; i++) {
        if (str_equal(plan_precisions.words[i], text)) {
            *precision = (CgPrecision)i;
            return true;
        }
    }
    return error_set(error, ERROR_INPUT, "%s takes f32, f64, bf16, or on a GPU tf32, not '%s'", option, text);
}

bool cg_precision_check(CgPrecision precision, const CgTarget *target, const char *arch, Error *error) {
    enum { TENSOR_CORES = 80 };
    const char *number = arch ? strpbrk(arch, "0123456789") : NULL;
    if (!(target->precisions >> precision & 1))
        return error_set(error, ERROR_INPUT,
                         "--precision %s is for GPUs (--device=cuda, .cubin); the CPU has f32, f64 and bf16",
                         plan_precisions.words[precision]);
    return precision < PRECISION_tf32 || !number || atoi(number) >= TENSOR_CORES ||
           error_set(error, ERROR_INPUT, "--precision %s needs a GPU of sm_80 or later, not %s",
                     plan_precisions.words[precision], arch);
}
