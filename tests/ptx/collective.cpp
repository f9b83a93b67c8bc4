/* collective.cpp: what the lanes of a warp do together: products of matrices, shuffles, votes, reductions, barriers of a
 * warp. run.cpp sees to it that all lanes that take part stand here. */
#include "program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ptx {
namespace {

void need_defined(const Warp &w, const Instruction &i, Mask mask, int begin, int end) {
    for (int n = begin; n < end && !w.block->grid->counting; n++)
        if (!w.is_defined(i.operand[n], mask))
            fault_at(w, i, __builtin_ctz(mask & ~w.defined[i.operand[n].number]),
                     "an undefined value is given to others");
}

/* ---- products ---- */

/* Manual, "Matrix fragments for mma.m16n8k8" (tf32) and "m16n8k16" (bf16): lane 4 g + t has of A the rows g and g + 8, of
 * B the column g, of C and D the rows g and g + 8 of the columns 2 t and 2 t + 1. A's registers are (row half, column
 * half): a0 = (0, 0), a1 = (1, 0), a2 = (0, 1), a3 = (1, 1); B's are halves of its rows. A tf32 register is one element
 * of column t of its half, a bf16 register two, of columns 2 t and 2 t + 1. */
float element(uint32_t word, bool halves, int which) {
    uint32_t bits = !halves ? word & ~0x1fffu : which ? word & 0xffff0000u : word << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* extra: 1 for bf16. Operands: d0-3, a0-3, b0-1, c0-3. */
void product(Warp &w, const Instruction &i, Mask mask) {
    bool halves = i.extra;
    int each = halves ? 2 : 1, depth = 8 * each;
    float a[16][16], b[16][8], c[16][8];
    need_defined(w, i, mask, 4, 14);
    for (int l = 0; l < LANES; l++) {
        int g = l / 4, t = l % 4;
        for (int r = 0; r < 4; r++)
            for (int e = 0; e < each; e++)
                a[g + r % 2 * 8][t * each + e + r / 2 * 4 * each] =
                    element(w.lanes<uint32_t>(i.operand[4 + r])[l], halves, e);
        for (int r = 0; r < 2; r++)
            for (int e = 0; e < each; e++)
                b[t * each + e + r * 4 * each][g] = element(w.lanes<uint32_t>(i.operand[8 + r])[l], halves, e);
        for (int r = 0; r < 4; r++)
            c[g + r / 2 * 8][2 * t + r % 2] = w.lanes<float>(i.operand[10 + r])[l];
    }
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < depth; k++)
            for (int column = 0; column < 8; column++)
                c[row][column] += a[row][k] * b[k][column];
    for (int l = 0; l < LANES; l++)
        for (int r = 0; r < 4; r++)
            w.lanes<float>(i.operand[r])[l] = c[l / 4 + r / 2 * 8][2 * (l % 4) + r % 2];
    for (int r = 0; r < 4; r++)
        w.define(i.operand[r], mask, ALL);
}

/* ---- shuffles ---- */

enum Shuffle : uint32_t { UP, DOWN, BUTTERFLY, INDEX };

/* The manual's algorithm. inside: whether the lane is within its segment. */
int source_lane(Shuffle how, int lane, uint32_t b, uint32_t c, bool *inside) {
    int by = b & 31, clamp = c & 31, segment = c >> 8 & 31;
    int most = (lane & segment) | (clamp & ~segment), least = lane & segment;
    int from = how == UP ? lane - by : how == DOWN ? lane + by : how == BUTTERFLY ? lane ^ by : least | (by & ~segment);
    *inside = how == UP ? from >= most : from <= most;
    return *inside ? from : lane;
}

/* Operands: d, (inside,) a, b, c, members. What comes from a lane that does not take part is undefined. */
void shuffle(Warp &w, const Instruction &i, Mask mask) {
    int a = i.count - 4;
    uint32_t values[LANES], *in = w.lanes<uint32_t>(i.operand[a]), *b = w.lanes<uint32_t>(i.operand[a + 1]);
    uint32_t *c = w.lanes<uint32_t>(i.operand[a + 2]);
    Mask known = 0, sources = w.defined[i.operand[a].number] & mask;
    memcpy(values, in, sizeof values);
    for (int l = 0; l < LANES; l++) {
        bool inside;
        if (!(mask >> l & 1))
            continue;
        int from = source_lane((Shuffle)i.extra, l, b[l], c[l], &inside);
        bool there = from >= 0 && from < LANES && sources >> from & 1;
        w.lanes<uint32_t>(i.operand[0])[l] = there ? values[from] : ~0u;
        known |= (Mask)there << l;
        if (a == 2)
            w.lanes<bool>(i.operand[1])[l] = inside;
    }
    w.define(i.operand[0], mask, known);
    if (a == 2)
        w.define(i.operand[1], mask, ALL);
}

/* ---- votes and reductions ---- */

enum Vote : uint32_t { BALLOT, ANY, EVERY, UNIFORM };

void vote(Warp &w, const Instruction &i, Mask mask) {
    need_defined(w, i, mask, 1, 2);
    Mask votes = (i.operand[1].negated ? ~w.holds(i.operand[1]) : w.holds(i.operand[1])) & mask;
    for (int l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (i.extra == BALLOT)
            w.lanes<uint32_t>(i.operand[0])[l] = votes;
        else
            w.lanes<bool>(i.operand[0])[l] = i.extra == ANY     ? votes != 0
                                             : i.extra == EVERY ? votes == mask
                                                                : votes == mask || !votes;
    }
    w.define(i.operand[0], mask, ALL);
}

uint32_t reduced(uint32_t how, uint32_t a, uint32_t b) {
    switch (how) {
    case 0:
        return a + b;
    case 1:
        return (int32_t)a < (int32_t)b ? a : b;
    case 2:
        return (int32_t)a > (int32_t)b ? a : b;
    case 3:
        return std::min(a, b);
    case 4:
        return std::max(a, b);
    case 5:
        return a & b;
    case 6:
        return a | b;
    default:
        return a ^ b;
    }
}

void reduce(Warp &w, const Instruction &i, Mask mask) {
    uint32_t *in = w.lanes<uint32_t>(i.operand[1]), value = 0;
    bool first = true;
    need_defined(w, i, mask, 1, 2);
    for (int l = 0; l < LANES; l++) {
        if (mask >> l & 1)
            value = first ? in[l] : reduced(i.extra, value, in[l]), first = false;
    }
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            w.lanes<uint32_t>(i.operand[0])[l] = value;
    w.define(i.operand[0], mask, ALL);
}

void meet_lanes(Warp &, const Instruction &, Mask) {
}

/* ---- decoding ---- */

int index_of(const std::vector<const char *> &names, const std::string &name) {
    for (size_t n = 0; n < names.size(); n++)
        if (name == names[n])
            return (int)n;
    return -1;
}

bool become(Instruction *i, Run *run, Class type, int extra, bool members) {
    for (int n = 0; n < i->count; n++)
        i->operand[n].width = i->operand[n].width ? i->operand[n].width : 4; /* a literal's */
    i->run = run;
    i->kind = COLLECTIVE;
    i->type = type;
    i->extra = (uint32_t)extra;
    i->member = members ? i->count - 1 : -1;
    return extra >= 0;
}

} // namespace

bool decode_collective(const std::string &name, const std::vector<std::string> &parts, Instruction *i) {
    if (name == "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" && i->count == 14)
        return become(i, product, TENSOR, 0, false);
    if (name == "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" && i->count == 14)
        return become(i, product, TENSOR, 1, false);
    if (parts[0] == "shfl" && parts.size() == 4 && parts[3] == "b32" && (i->count == 5 || i->count == 6))
        return become(i, shuffle, EXCHANGE, index_of({"up", "down", "bfly", "idx"}, parts[2]), true);
    if (parts[0] == "vote" && parts.size() == 4 && i->count == 3)
        return become(i, vote, EXCHANGE, index_of({"ballot", "any", "all", "uni"}, parts[2]), true);
    if (parts[0] == "redux" && parts.size() == 4 && i->count == 3)
        return become(i, reduce, EXCHANGE,
                      index_of({"add.s32", "min.s32", "max.s32", "min.u32", "max.u32", "and.b32", "or.b32", "xor.b32"},
                               parts[2] + "." + (parts[2] == "add" ? "s32" : parts[3])),
                      true);
    if (name == "bar.warp.sync" && i->count == 1)
        return become(i, meet_lanes, SYNC, 0, true);
    return false;
}

} // namespace ptx
