/* module.cpp: PTX for the emulator: source to PTX by the real NVRTC, and the memory that programs may touch. */
#include "module.h"

#include "program.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

namespace ptx {
namespace {

std::map<uint64_t, uint64_t> ranges; /* begin to end */
uint64_t changes;                    /* what instructions remember of ranges may be old */
enum { SKIPPED = 77 };               /* the exit code of tests that lack what they need */

} // namespace

bool find_range(uint64_t address, unsigned bytes, uint64_t *begin, uint64_t *end) {
    if (ranges.empty()) {
        *begin = 0, *end = ~0ull;
        return true;
    }
    auto above = ranges.upper_bound(address);
    if (above == ranges.begin())
        return false;
    --above;
    *begin = above->first, *end = above->second;
    return address + bytes <= above->second;
}

uint64_t range_changes() {
    return changes;
}

void allow(const void *begin, size_t size) {
    ranges[(uint64_t)begin] = (uint64_t)begin + size;
    changes++;
}

void forbid(const void *begin, size_t size) {
    auto first = ranges.lower_bound((uint64_t)begin);
    while (first != ranges.end() && first->first < (uint64_t)begin + size)
        first = ranges.erase(first);
    changes++;
}

void sum_counts(const Kernel &kernel, SimtCount *sum) {
    *sum = {};
    for (size_t n = 0; n < kernel.code.size(); n++) {
        const Count &c = kernel.counts[n];
        sum->warps[kernel.code[n].type] += (double)c.warps * kernel.code[n].weight;
        sum->lanes += (double)c.lanes;
        sum->sectors += (double)c.sectors;
        sum->bytes += (double)c.bytes;
        sum->wavefronts += (double)c.wavefronts;
    }
}

bool compile(const std::string &source, const std::string &result, std::string *message) {
    std::string command = std::string("LD_LIBRARY_PATH='") + getenv("SIMT_PTX") + "' " SIMT_TO_PTX " " + source + " " +
                          result + " 2>&1 && { test -z \"$SIMT_PTX_EDIT\" || sed -E -i \"$SIMT_PTX_EDIT\" " + result +
                          " 2>&1; }";
    FILE *program = popen(command.c_str(), "r");
    char buffer[1024];
    while (program && fgets(buffer, sizeof buffer, program))
        *message += buffer;
    int status = program ? pclose(program) : -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        fputs(message->c_str(), stderr);
        exit(SKIPPED);
    }
    return status == 0;
}

} // namespace ptx

static const char *const class_names[] = {
    "integer",      "float",       "double",       "special", "convert",  "move",   "control", "load_global",
    "store_global", "load_shared", "store_shared", "tensor",  "exchange", "atomic", "sync",    "nothing"};
static_assert(sizeof class_names / sizeof *class_names == ptx::CLASS_COUNT, "a name for each class");

int simt_class_count(void) {
    return ptx::CLASS_COUNT;
}

const char *simt_class_name(int number) {
    return class_names[number];
}
