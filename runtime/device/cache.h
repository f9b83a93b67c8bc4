/* cache.h: compiled modules on disk, found by their content. */
#ifndef NDARTS_RUNTIME_DEVICE_CACHE_H
#define NDARTS_RUNTIME_DEVICE_CACHE_H

#include "runtime/device/compiler.h"
#include "runtime/device/loaded_module.h"
#include "runtime/device/objects.h"

/* The name of an entry: the hash of sources, options and the compiler's version, 64 hexadecimal digits. */
const char *rt_cache_key(Arena *arena, const CgOutput *output, const char *options, const char *compiler_version);
/* The module under a key, or NULL. */
RtModule *rt_cache_find(const char *key);
/* Builds the module unless it is there, whole and able to be loaded. */
bool rt_cache_fill(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key,
                   Error *error);
/* What is left to compile of it; whether that is so much that a draft is worth making first; and, to a person, how long either will take
 * where it is seconds. */
RtObjectsLeft rt_cache_left(const RtCompiler *compiler, const CgOutput *output, const char *options);
bool rt_cache_wants_draft(const RtObjectsLeft *left);
void rt_cache_announce(const RtObjectsLeft *left, bool draft);
/* The same for a draft, which is there in a third of the time: its code takes a third longer and computes the same bits.
 * False when that fails; then the module proper will say why. */
bool rt_cache_fill_draft(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key);
/* The draft of the module of a key, or NULL. */
RtModule *rt_cache_find_draft(const char *key);
/* Loads the module from the cache; builds it first when it is not there or its entry is damaged. */
RtModule *rt_cache_load(const RtCompiler *compiler, const CgOutput *output, const char *options, const char *key,
                        Error *error);

/* The compiler that we are, as part of the key of a text: another build may generate other code. */
void rt_cache_add_own_hash(Str *s);
/* The key of the module that a text led to before, or NULL; text_key: 64 hexadecimal digits. */
const char *rt_cache_recall(Arena *arena, const char *text_key);
void rt_cache_remember(const char *text_key, const char *key);

#endif
