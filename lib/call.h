/* call.h: what the functions of the library have in common: calls that neither print nor end the program, options, and
 * texts that are given back. Private to lib/. */
#ifndef NDARTS_LIB_CALL_H
#define NDARTS_LIB_CALL_H

#include "lib/ndarts.h"

#include "runtime/driver/runtime.h"

/* What a call does; false, or an error: it failed. */
typedef bool CallBody(void *call, Error *error);

/* Runs body(call): what the layers below would print becomes the beginning of the message, numbers have a point, and
 * running out of memory ends the call instead of the program. *lost: memory ran out in the middle of it. */
NdartsStatus call_guarded(CallBody *body, void *call, bool *lost, char **message);

/* A call whose result is a text: body fills text, in the arena. */
typedef struct TextCall {
    Arena *arena;
    const char *path;
    const NdartsOptions *options;
    const char *text;
    void *more;
} TextCall;

/* The text goes to *result, which the caller frees; NULL on failure. */
NdartsStatus call_for_text(CallBody *body, TextCall *call, char **result, char **message);

/* Checked; options may be NULL. */
bool call_options(const char *path, const NdartsOptions *options, RtProgramOptions *program, Error *error);
/* Whether its type, rank, shape and numbers are those of an array; name: what it is called in the message. */
bool call_check_array(const char *name, const NdartsArray *array, Error *error);
/* Whether there are so many behind the pointer, as far as can be told. */
bool call_check_count(const char *what, const void *items, int count, Error *error);
/* Arrays of a caller as tensors; what is no array of numbers is refused by its name. */
bool call_tensors(Arena *arena, const NdartsArray *arrays, int count, TensorFile *file, Error *error);

#endif
