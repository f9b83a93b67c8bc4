/* plan_steps.c: the steps of a stage, which a plan has as text: "3 i0 s256 #77;4 p0 w64". */
#include "base/str.h"
#include "codegen/plan/plan_names.h"
#include "codegen/plan/plan_reader.h"

#include <limits.h>
#include <string.h>

bool plan_refuse(PlanReader *r, const char *what) {
    if (r->step >= 0)
        r->where = arena_printf(r->arena, "%s.steps[%d]", r->where, r->step);
    r->step = -1;
    return error_set(r->error, ERROR_INPUT, "bad plan: %s%s%s", r->where, *r->where ? ": " : "", what);
}

/* A number at the text, which moves behind it. */
static bool take_int(PlanReader *r, const char **text, int64_t *value) {
    const char *at = *text + (**text == '-');
    uint64_t size = 0;
    int digits = 0;
    for (; *at >= '0' && *at <= '9'; at++, digits++)
        size = size * 10 + (uint64_t)(*at - '0');
    if (!digits || digits > 18)
        return plan_refuse(r, "a number is missing or too long");
    *value = **text == '-' ? -(int64_t)size : (int64_t)size;
    *text = at;
    return true;
}

bool plan_take_buffer(PlanReader *r, const char **text, const PlanGraph *g, PlanBuffer *b) {
    for (int i = PLACE_state; i <= PLACE_prepared; i++) {
        if (plan_place_letters[i] != **text)
            continue;
        ++*text;
        b->place = (IrPlace)i;
        if (!take_int(r, text, &b->offset))
            return false;
        int64_t limit = b->place == PLACE_input ? g->input_count : plan_place_bytes(r->plan, g, b->place);
        return (b->offset >= 0 && b->offset < limit) || plan_refuse(r, "a buffer lies outside its place");
    }
    return plan_refuse(r, arena_printf(r->arena, "the unknown place '%c'", **text));
}

/* "*images 4096" */
static bool take_launch(PlanReader *r, const char **text, PlanStep *s) {
    for (int i = 0; i < LAUNCH_COUNT && **text == '*'; i++) {
        size_t length = strlen(plan_launches.words[i]);
        if (!str_starts_with(*text + 1, plan_launches.words[i]) || (*text)[1 + length] != ' ')
            continue;
        *text += 1 + length + 1;
        s->launch = (PlanLaunch)i;
        return take_int(r, text, &s->threads) &&
               ((s->threads >= 0 && s->threads <= INT64_C(1) << 40) || plan_refuse(r, "too many threads"));
    }
    return plan_refuse(r, "a step should say how it is launched");
}

/* "?2:1,3", where the graph has choices */
static bool take_when(PlanReader *r, const char **text, const PlanGraph *g, PlanWhen *when) {
    int64_t choice, value;
    if (!take_int(r, text, &choice))
        return false;
    if (choice < 0 || choice >= g->choice_count)
        return plan_refuse(r, arena_printf(r->arena, "choice %lld is not there", (long long)choice));
    when->choice = (int)choice + 1;
    for (char before = ':'; **text == before; before = ',') {
        ++*text;
        if (!take_int(r, text, &value))
            return false;
        if (value < 0 || value >= IR_MAX_CASES)
            return plan_refuse(r, arena_printf(r->arena, "case %lld of a choice is out of range", (long long)value));
        when->cases |= UINT64_C(1) << value;
    }
    return when->cases || plan_refuse(r, "a step should say where it is called");
}

/* "<4,7"; "<" waits for nothing. */
static bool take_waits(PlanReader *r, const char **text, int most, PlanStep *s) {
    s->waits = ARENA_ARRAY(r->arena, int, most + 1);
    while (**text >= '0' && **text <= '9') {
        int64_t launch;
        if (!take_int(r, text, &launch))
            return false;
        s->waits[s->wait_count++] = launch > INT_MAX ? INT_MAX : (int)launch;
        *text += **text == ',';
    }
    return true;
}

static int count_before(const char *text, const char *end, char letter) {
    int count = 0;
    for (; text < end; text++)
        count += *text == letter;
    return count;
}

static bool take_step(PlanReader *r, const char **text, const PlanGraph *g, bool exchange, PlanStep *s) {
    const char *end = *text + strcspn(*text, ";");
    int64_t kernel;
    if (!take_int(r, text, &kernel))
        return false;
    bool none = exchange && kernel == PLAN_NO_KERNEL;
    if (!none && (exchange || kernel < 0 || kernel >= r->plan->kernel_count))
        return plan_refuse(r, arena_printf(r->arena, "kernel %lld is not there", (long long)kernel));
    s->kernel = (int)kernel;
    int words = count_before(*text, end, ' '), ints = count_before(*text, end, '#');
    s->buffers = ARENA_ARRAY(r->arena, PlanBuffer, words);
    s->ints = ARENA_ARRAY(r->arena, int64_t, ints);
    while (**text == ' ' && (*text)[1] != '#' && (*text)[1] != '*' && (*text)[1] != '?' && (*text)[1] != '<') {
        ++*text;
        if (!plan_take_buffer(r, text, g, &s->buffers[s->buffer_count++]))
            return false;
    }
    while (str_starts_with(*text, " #")) {
        *text += 2;
        if (!take_int(r, text, &s->ints[s->int_count++]))
            return false;
    }
    if (plan_starts_threads[r->plan->target]) {
        if (**text != ' ')
            return plan_refuse(r, "a step should say how it is launched");
        ++*text;
        if (!take_launch(r, text, s))
            return false;
    }
    if (str_starts_with(*text, " ?")) {
        *text += 2;
        if (!take_when(r, text, g, &s->when))
            return false;
    }
    if (plan_starts_threads[r->plan->target] && str_starts_with(*text, " <")) {
        *text += 2;
        if (!take_waits(r, text, 1 + count_before(*text, end, ','), s))
            return false;
    }
    return *text == end || plan_refuse(r, "a step goes on where it should end");
}

static bool check_rows(PlanReader *r, const PlanGraph *g, const PlanStep *s) {
    if (r->plan->ranks <= 1 || s->buffer_count != 1 || s->int_count != 1)
        return plan_refuse(r,
                           "an exchange has the chunks of all ranks and a number of bytes, in a plan of several ranks");
    const PlanBuffer *b = &s->buffers[0];
    return (b->place == PLACE_work && s->ints[0] > 0 && s->ints[0] % r->plan->ranks == 0 &&
            s->ints[0] <= plan_place_bytes(r->plan, g, b->place) - b->offset) ||
           plan_refuse(r, "an exchange lies outside its place");
}

/* All that the runtime reads and writes itself lies in its place. */
static bool check_exchange(PlanReader *r, const PlanGraph *g, const PlanStep *s) {
    if (r->plan->target == TARGET_cuda)
        return check_rows(r, g, s);
    if (r->plan->ranks <= 1 || s->buffer_count != 2 || s->int_count != 1)
        return plan_refuse(r, "an exchange has a result, chunks and a number of elements, in a plan of several ranks");
    for (int i = 0; i < 2; i++) {
        const PlanBuffer *b = &s->buffers[i];
        int64_t most = plan_place_bytes(r->plan, g, b->place) - b->offset, rows = i ? r->plan->chunks : 1;
        int64_t bytes = rows * plan_element_bytes(r->plan->precision, DTYPE_f32);
        if (b->place == PLACE_input || b->place == PLACE_private || s->ints[0] < 1 || s->ints[0] > most / bytes)
            return plan_refuse(r, "an exchange lies outside its place");
    }
    return true;
}

bool plan_read_steps(PlanReader *r, const char *text, const PlanGraph *g, PlanStage *stage) {
    stage->step_count = 1 + count_before(text, text + strlen(text), ';');
    stage->steps = ARENA_ARRAY(r->arena, PlanStep, stage->step_count);
    for (int i = 0; i < stage->step_count; i++) {
        r->step = i;
        bool exchange = stage->domain == DOMAIN_exchange;
        if (!take_step(r, &text, g, exchange, &stage->steps[i]) ||
            (exchange && !check_exchange(r, g, &stage->steps[i])))
            return false;
        text += *text == ';';
    }
    r->step = -1;
    return true;
}
