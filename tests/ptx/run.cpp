/* run.cpp: runs a grid: warps of lanes that may part and meet, barriers, the order of warps and blocks.
 *
 * The lanes of a warp that stand at one place are a group. The group that is furthest behind goes first and joins others
 * that it reaches, as compilers arrange it. In the other orders than the ascending one a warp has two parts whose lanes
 * join only where they must (for a shuffle), since a device promises no more. In shuffled order warps take turns of
 * random lengths, those of several blocks at once. */
#include "program.h"

#include <algorithm>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace ptx {

void fault(const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    throw Fault{text};
}

void fault_at(const Warp &w, const Instruction &i, int lane, const char *format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fault("%s, block %u, thread %u: %s (%s, line %d of the PTX, %d of the source)", w.kernel->name.c_str(),
          w.block->index[0], w.first + (unsigned)lane, text, i.name, i.line, i.source_line);
}

/* A predicate of lanes that nobody wrote may be any byte. */
Mask Warp::holds(const Operand &o) const {
    const uint8_t *lanes = file + o.at;
    Mask mask = 0;
    for (int l = 0; l < LANES; l++)
        mask |= (Mask)(lanes[l] & 1) << l;
    return mask;
}

namespace {

enum { ASCENDING, DESCENDING, SHUFFLED, RESIDENT = 3, SHORT_REST = 20, LONG_REST = 5000, ALONE = INT_MAX };

uint32_t draw(Grid &g, uint32_t below) {
    g.random = g.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((g.random >> 33) % below);
}

/* ---- groups of lanes ---- */

/* The lanes that go together in each order. */
constexpr Mask parts[] = {ALL, 0x0f0f0f0f, 0x55555555};

bool same_part(const Warp &w, Mask a, Mask b) {
    Mask part = parts[w.block->grid->order];
    return !((a | b) & part) || !((a | b) & ~part);
}

void leave(Warp &w, Waiting waiting) {
    if (w.mask)
        w.others.push_back({w.pc, w.mask, waiting});
    w.mask = 0;
}

bool joins(const Warp &w, const Group &a, const Group &b) {
    bool must = a.waiting == FOR_LANES && b.waiting == FOR_LANES;
    return a.pc == b.pc &&
           (must || (same_part(w, a.mask, b.mask) && a.waiting != AT_BARRIER && b.waiting != AT_BARRIER));
}

void join(Warp &w) {
    for (size_t a = 0; a < w.others.size(); a++) {
        for (size_t b = a + 1; b < w.others.size();) {
            if (!joins(w, w.others[a], w.others[b])) {
                b++;
                continue;
            }
            w.others[a].mask |= w.others[b].mask;
            w.others[a].waiting = NOT; /* more lanes: perhaps now */
            w.others.erase(w.others.begin() + (long)b);
        }
    }
}

/* The next group goes on; false when all wait or have ended. */
bool choose(Warp &w) {
    join(w);
    size_t best = w.others.size(), ready = 0;
    w.limit = ALONE;
    for (size_t n = 0; n < w.others.size(); n++) {
        if (w.others[n].waiting != NOT)
            continue;
        ready++;
        if (best == w.others.size() || w.others[n].pc < w.others[best].pc ||
            (w.block->grid->order == SHUFFLED && draw(*w.block->grid, (uint32_t)ready) == 0))
            best = n;
    }
    if (best == w.others.size())
        return false;
    w.pc = w.others[best].pc;
    w.mask = w.others[best].mask;
    w.others.erase(w.others.begin() + (long)best);
    for (const Group &g : w.others)
        if (same_part(w, g.mask, w.mask) && g.waiting != AT_BARRIER)
            w.limit = std::min(w.limit, g.pc);
    return true;
}

/* Lanes that met go apart again. */
void part(Warp &w) {
    Mask stays = parts[w.block->grid->order], goes = w.mask & ~stays;
    if (!goes || !(w.mask & stays))
        return;
    w.others.push_back({w.pc, goes, NOT});
    w.mask &= stays;
}

bool can_run(const Warp &w) {
    if (w.mask)
        return true;
    for (const Group &g : w.others)
        if (g.waiting == NOT)
            return true;
    return false;
}

/* ---- control ---- */

Mask guarded(Warp &w, const Instruction &i) {
    Mask holds = w.holds(i.guard);
    if (!w.block->grid->counting && !w.is_defined(i.guard, w.mask))
        fault_at(w, i, __builtin_ctz(w.mask & ~w.defined[i.guard.number]), "the condition is undefined");
    return w.mask & (i.guard.negated ? ~holds : holds);
}

void branch(Warp &w, const Instruction &i, Mask taken) {
    Mask stay = w.mask & ~taken;
    if (!stay) {
        w.pc = i.target;
    } else if (taken) {
        w.mask = stay;
        w.pc++;
        w.others.push_back({i.target, taken, NOT});
        leave(w, NOT);
        choose(w);
        return;
    } else {
        w.pc++;
    }
}

void finish(Warp &w, Mask mask) {
    w.alive &= ~mask;
    w.mask &= ~mask;
    w.block->finished += (unsigned)__builtin_popcount(mask);
    w.pc++;
    if (!w.mask)
        choose(w);
}

void arrive(Warp &w) {
    Block &b = *w.block;
    b.arrived += (unsigned)__builtin_popcount(w.mask);
    w.pc++;
    leave(w, AT_BARRIER);
    if (b.arrived == b.threads) {
        b.arrived = 0;
        b.barriers++;
        b.grid->barriers++;
        meet(b);
        for (Warp &each : b.warps)
            for (Group &g : each.others)
                g.waiting = NOT;
    }
    choose(w);
}

/* The lanes that this needs, as far as there are such threads. */
Mask members(Warp &w, const Instruction &i) {
    if (i.member < 0)
        return w.exist;
    const uint32_t *m = w.lanes<uint32_t>(i.operand[i.member]);
    int first = __builtin_ctz(w.mask);
    for (int l = 0; l < LANES; l++)
        if (w.mask >> l & 1 && m[l] != m[first])
            fault_at(w, i, l, "lanes disagree about who takes part: %08x and %08x", m[first], m[l]);
    if (w.mask & ~m[first])
        fault_at(w, i, first, "lanes %08x are here, and only %08x take part", w.mask, m[first]);
    return m[first] & w.exist;
}

void together(Warp &w, const Instruction &i) {
    Mask wanted = members(w, i);
    if ((wanted & w.mask) != wanted) {
        leave(w, FOR_LANES);
        choose(w);
        return;
    }
    i.run(w, i, w.mask);
    w.syncs++;
    w.pc++;
    part(w);
}

/* ---- running ---- */

void step(Warp &w) {
    const Instruction &i = w.kernel->code[(size_t)w.pc];
    Mask mask = i.conditional ? guarded(w, i) : w.mask;
    if (w.block->grid->counting) {
        Count &c = w.block->grid->kernel->counts[(size_t)w.pc];
        c.warps += mask != 0 || i.kind == BRANCH;
        c.lanes += __builtin_popcount(mask);
    }
    switch (i.kind) {
    case PLAIN:
        if (mask)
            i.run(w, i, mask);
        w.pc++;
        break;
    case BRANCH:
        branch(w, i, mask);
        break;
    case RETURN:
        if (mask)
            finish(w, mask);
        else
            w.pc++;
        break;
    case BARRIER:
        arrive(w);
        break;
    case COLLECTIVE:
        together(w, i);
        break;
    }
    if (w.pc >= w.limit && w.mask) {
        leave(w, NOT);
        choose(w);
    }
}

/* Instructions, or until nothing of the warp can go on. */
void run_warp(Warp &w, long turns) {
    if (!w.mask && !choose(w))
        return;
    while (turns-- > 0 && w.mask) {
        bool talks = w.kernel->code[(size_t)w.pc].type == ATOMIC && w.block->grid->order == SHUFFLED;
        step(w);
        if (!talks)
            continue;
        w.block->rests = draw(*w.block->grid, draw(*w.block->grid, 4) ? SHORT_REST : LONG_REST);
        return;
    }
}

uint32_t special_value(const Block &b, const std::string &name, unsigned thread) {
    const Grid &g = *b.grid;
    int a = name.back() == 'y' ? 1 : name.back() == 'z' ? 2 : 0;
    unsigned at[3] = {thread % g.block[0], thread / g.block[0] % g.block[1], thread / g.block[0] / g.block[1]};
    std::string what = name.substr(0, name.find('.'));
    return what == "%tid"      ? at[a]
           : what == "%ntid"   ? g.block[a]
           : what == "%ctaid"  ? b.index[a]
           : what == "%nctaid" ? g.size[a]
           : what == "%laneid" ? thread % LANES
           : what == "%warpid" ? thread / LANES
                               : (1u << thread % LANES) - 1; /* %lanemask_lt */
}

void set_special(Warp &w, const char *begins) {
    for (auto &s : w.kernel->special) {
        if (s.first.rfind(begins, 0) != 0)
            continue;
        for (unsigned l = 0; l < LANES; l++)
            w.lanes<uint32_t>(s.second)[l] = special_value(*w.block, s.first, w.first + l);
    }
}

void begin_warp(Block &b, unsigned n, const std::vector<Operand> &never_written) {
    const Kernel &k = *b.grid->kernel;
    Warp &w = b.warps[n];
    unsigned count = std::min<unsigned>(LANES, b.threads - w.first);
    w.exist = w.alive = count == LANES ? ALL : (1u << count) - 1;
    w.mask = 0;
    w.others = {{0, w.exist, NOT}};
    w.syncs++;
    std::fill(w.defined, w.defined + k.register_count, 0);
    for (const Operand &o : never_written)
        w.defined[o.number] = ALL;
    set_special(w, "%ctaid");
    choose(w);
    part(w);
}

std::vector<Operand> constants_of(const Kernel &k) {
    std::vector<Operand> all = k.parameters;
    for (const Constant &c : k.constants)
        all.push_back(c.place);
    for (auto &s : k.special)
        all.push_back(s.second);
    return all;
}

/* Memory of a block, once for a launch. */
void make_block(Block &b, Grid &g, void **arguments) {
    const Kernel &k = *g.kernel;
    b.grid = &g;
    b.threads = g.block[0] * g.block[1] * g.block[2];
    size_t count = (b.threads + LANES - 1) / LANES;
    b.warps.resize(count);
    if (b.file.size() < count * k.file_bytes)
        b.file.resize(count * k.file_bytes);
    if (b.defined.size() < count * k.register_count)
        b.defined.resize(count * k.register_count);
    b.local.assign((size_t)k.local_bytes * b.threads, 0xff);
    b.shared.resize(k.shared_bytes + g.dynamic_bytes);
    if (b.shadow.size() < b.shared.size() / 2 + 1)
        b.shadow.resize(b.shared.size() / 2 + 1, Shadow{0, 0, 0, 0, NOBODY, NOBODY});
    for (size_t n = 0; n < count; n++) {
        Warp &w = b.warps[n];
        w.kernel = &k;
        w.block = &b;
        w.file = b.file.data() + n * k.file_bytes;
        w.defined = b.defined.data() + n * k.register_count;
        for (const Constant &c : k.constants)
            for (int l = 0; l < LANES; l++)
                w.put(c.place, l, c.bits);
        for (size_t p = 0; p < k.parameters.size(); p++)
            for (int l = 0; l < LANES; l++)
                w.put(k.parameters[p], l, *(uint64_t *)arguments[p]);
        w.first = (unsigned)n * LANES;
        set_special(w, "%");
    }
}

void begin_block(Block &b, unsigned number, const std::vector<Operand> &never_written) {
    const unsigned *size = b.grid->size;
    b.index[0] = number % size[0], b.index[1] = number / size[0] % size[1], b.index[2] = number / size[0] / size[1];
    b.number = number, b.acquired = 0, b.rests = 0;
    b.arrived = b.finished = 0;
    b.barriers++;
    memset(b.shared.data(), 0xff, b.shared.size());
    for (unsigned n = 0; n < b.warps.size(); n++)
        begin_warp(b, n, never_written);
}

void describe_stuck(const Block &b) {
    if (b.arrived)
        fault("%s: block %u: %u of %u threads wait at a barrier that the others never reach",
              b.grid->kernel->name.c_str(), b.index[0], b.arrived, b.threads);
    fault("%s: block %u: lanes wait for others of their warp", b.grid->kernel->name.c_str(), b.index[0]);
}

/* One turn of a warp that can go on. */
void turn(Block &b, Grid &g) {
    size_t count = b.warps.size(), first = g.order == SHUFFLED ? draw(g, (uint32_t)count) : 0;
    for (size_t n = 0; n < count; n++) {
        size_t at = g.order == DESCENDING ? count - 1 - n : (first + n) % count;
        if (!can_run(b.warps[at]))
            continue;
        run_warp(b.warps[at], g.order == SHUFFLED ? 1 + draw(g, 300) : LONG_MAX);
        return;
    }
    describe_stuck(b);
}

unsigned ordered(const Grid &g, unsigned i, unsigned count) {
    if (g.order == DESCENDING)
        return count - 1 - i;
    return g.order == SHUFFLED && count % 7919 ? (unsigned)(((uint64_t)i * 7919 + 13) % count) : i;
}

/* Blocks take turns, as many at once as are resident. */
void run_grid(Grid &g, const Launch &l, std::vector<Block> &pool) {
    unsigned all = g.size[0] * g.size[1] * g.size[2], count = l.first < all ? (all - l.first + l.step - 1) / l.step : 0;
    unsigned resident = g.order == SHUFFLED ? RESIDENT : 1, next = 0;
    std::vector<Operand> never_written = constants_of(*g.kernel);
    std::vector<Block *> running;
    std::vector<Bytes> kept;
    for (unsigned n = 0; n < resident && n < count; n++) {
        make_block(pool[n], g, l.arguments);
        begin_block(pool[n], l.first + l.step * ordered(g, next++, count), never_written);
        running.push_back(&pool[n]);
    }
    while (!running.empty()) {
        size_t n = running.size() > 1 ? draw(g, (uint32_t)running.size()) : 0;
        Block &b = *running[n];
        if (b.rests && b.rests--)
            continue;
        turn(b, g);
        if (b.finished < b.threads)
            continue;
        meet(b);
        kept.push_back(std::move(b.held)); /* nobody else sees it before the end */
        b.held.clear();
        if (next < count)
            begin_block(b, l.first + l.step * ordered(g, next++, count), never_written);
        else
            running.erase(running.begin() + (long)n);
    }
    for (Bytes &bytes : kept)
        let_go(bytes);
}

} // namespace

long launch(const Launch &l) {
    static std::vector<Block> pool(RESIDENT); /* their memory serves again */
    static uint64_t launches;                 /* each its own order */
    Grid g = {l.kernel,
              {l.grid[0], l.grid[1], l.grid[2]},
              {l.block[0], l.block[1], l.block[2]},
              l.dynamic_bytes,
              l.order,
              l.counting,
              12345 + ++launches,
              0,
              {},
              0};
    for (Instruction &i : l.kernel->code)
        if (l.kernel->range_changes != range_changes())
            i.begin = i.end = 0;
    l.kernel->range_changes = range_changes();
    if (l.counting && l.kernel->counts.empty())
        l.kernel->counts.resize(l.kernel->code.size());
    try {
        run_grid(g, l, pool);
    } catch (...) {
        pool = std::vector<Block>(RESIDENT);
        throw;
    }
    return g.barriers;
}

} // namespace ptx
