/* memory.cpp: loads, stores, atomics and fences. Every access is checked: its address is defined, aligned to the whole
 * vector, and within one range of memory that is allowed, or within the block's shared memory. Two threads that touch
 * the same bytes of shared memory without a barrier between them, one of them writing, are an error.
 *
 * Order between blocks matters in kernels that have atomics, fences or strong accesses. There, weak stores are held back
 * for as long as the model of memory allows: a thread's are its own until a barrier shows them to its block, and the
 * block's until one of its threads has a fence (or a release) for the device; what nobody let go goes to memory when
 * the kernel ends. A weak load has the oldest value that it may have: what was there at the block's last fence (or
 * acquire; without any, when the kernel began), but nothing older than what the block itself has stored there, or has
 * seen there by a strong load. So a forgotten fence changes a result. */
#include "program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ptx {
namespace {

struct Lanes {
    uint64_t address[LANES]; /* as the program has it, without its window; of lanes that take no part, another's */
    uint8_t *host[LANES];
    bool shared;
};

unsigned thread_of(const Warp &w, int lane) {
    return w.first + (unsigned)lane;
}

/* ---- where ---- */

void check_range(const Warp &w, const Instruction &i, int lane, uint64_t address, unsigned bytes) {
    if (address >= i.begin && address + bytes <= i.end)
        return;
    for (const auto &global : w.kernel->globals)
        if (address >= global.first && address + bytes <= global.second)
            return;
    if (address < 1 << 16 || !find_range(address, bytes, &i.begin, &i.end))
        fault_at(w, i, lane, "%u bytes at %llx are outside of all memory", bytes, (unsigned long long)address);
}

/* One lane's, with what is wrong said. */
uint8_t *place(Warp &w, const Instruction &i, int lane, uint64_t *address, unsigned bytes, bool *shared) {
    uint64_t a = *address, window = a & WINDOWS;
    Space space = i.space != GENERIC        ? i.space
                  : window == SHARED_WINDOW ? SHARED
                  : window == LOCAL_WINDOW  ? LOCAL
                                            : GLOBAL;
    *shared = space == SHARED;
    if (a % bytes)
        fault_at(w, i, lane, "misaligned access: %u bytes at %llx", bytes, (unsigned long long)a);
    if (space == GLOBAL) {
        check_range(w, i, lane, a, bytes);
        return (uint8_t *)a;
    }
    *address = a &= ~WINDOWS;
    Block &b = *w.block;
    uint64_t size = space == SHARED ? b.shared.size() : w.kernel->local_bytes;
    if (a + bytes > size)
        fault_at(w, i, lane, "%u bytes at %llu are outside of the %llu bytes of %s memory", bytes,
                 (unsigned long long)a, (unsigned long long)size, space == SHARED ? "shared" : "local");
    return space == SHARED ? &b.shared[a] : &b.local[thread_of(w, lane) * size + a];
}

void read_addresses(Warp &w, const Instruction &i, Mask mask, const Operand &base, uint64_t *address) {
    int first = __builtin_ctz(mask);
    if (!w.block->grid->counting && !w.is_defined(base, mask))
        fault_at(w, i, __builtin_ctz(mask & ~w.defined[base.number]), "the address is undefined");
    for (int l = 0; l < LANES; l++) {
        int from = mask >> l & 1 ? l : first;
        address[l] =
            (base.width == 4 ? w.lanes<uint32_t>(base)[from] : w.lanes<uint64_t>(base)[from]) + (uint64_t)i.offset;
    }
}

/* Where all lanes lie at once, if all is well: whether it is. */
bool find_together(Warp &w, const Instruction &i, unsigned bytes, Lanes *lanes) {
    uint64_t low = ~0ull, high = 0, bits = 0, shared = w.block->shared.size();
    for (int l = 0; l < LANES; l++) {
        low = std::min(low, lanes->address[l]);
        high = std::max(high, lanes->address[l]);
        bits |= lanes->address[l];
    }
    lanes->shared = i.space == SHARED;
    if (bits % bytes || i.space == LOCAL ||
        (lanes->shared ? high + bytes > shared : low < i.begin || high + bytes > i.end))
        return false;
    uint8_t *begin = lanes->shared ? w.block->shared.data() : nullptr;
    for (int l = 0; l < LANES; l++)
        lanes->host[l] = begin + lanes->address[l];
    return true;
}

void find_lanes(Warp &w, const Instruction &i, Mask mask, const Operand &base, Lanes *lanes) {
    unsigned bytes = (unsigned)i.bytes * i.vector;
    read_addresses(w, i, mask, base, lanes->address);
    if (find_together(w, i, bytes, lanes))
        return;
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            lanes->host[l] = place(w, i, l, &lanes->address[l], bytes, &lanes->shared);
}

/* ---- races ---- */

bool conflict(const Warp &w, unsigned thread, unsigned other, uint32_t barrier, uint32_t sync) {
    if (other == NOBODY || other == thread || barrier != w.block->barriers)
        return false;
    return other == SEVERAL || other / LANES != thread / LANES || sync == w.syncs;
}

void watch(Warp &w, const Instruction &i, int lane, uint64_t address, unsigned bytes, bool write) {
    Block &b = *w.block;
    unsigned thread = thread_of(w, lane);
    for (uint64_t g = address / 2; g < (address + bytes + 1) / 2; g++) {
        Shadow &s = b.shadow[g];
        if (conflict(w, thread, s.writer, s.write_barrier, s.write_sync))
            fault_at(w, i, lane, "a race: thread %u wrote here, with no barrier between", s.writer);
        if (write && conflict(w, thread, s.reader, s.read_barrier, s.read_sync))
            fault_at(w, i, lane, "a race: thread %d read here, with no barrier between",
                     s.reader == SEVERAL ? -1 : s.reader);
        if (write) {
            s.writer = (uint16_t)thread, s.write_barrier = b.barriers, s.write_sync = w.syncs;
        } else {
            bool others = s.reader != NOBODY && s.reader != thread && s.read_barrier == b.barriers &&
                          (s.reader == SEVERAL || s.reader / LANES != thread / LANES || s.read_sync == w.syncs);
            s.reader = others ? (uint16_t)SEVERAL : (uint16_t)thread, s.read_barrier = b.barriers,
            s.read_sync = w.syncs;
        }
    }
}

/* ---- counting ---- */

/* Different numbers among a few. */
struct Few {
    uint64_t numbers[2 * LANES];
    unsigned count = 0;
    void add(uint64_t number) {
        for (unsigned n = count; n-- > 0;)
            if (numbers[n] == number)
                return;
        numbers[count++] = number;
    }
};

/* Turns of shared memory: 32 banks of 4 bytes; a turn serves 128 bytes of lanes at most, and one word of each bank. */
long count_turns(const Instruction &i, Mask mask, const Lanes &lanes) {
    unsigned bytes = (unsigned)i.bytes * i.vector, together = bytes > 4 ? 128 / bytes : 32u;
    long sum = 0;
    for (unsigned from = 0; from < LANES; from += together) {
        unsigned turns = 0, of_bank[32] = {0};
        Few words;
        for (unsigned l = from; l < from + together; l++)
            for (unsigned at = 0; mask >> l & 1 && at < bytes; at += 4)
                words.add((lanes.address[l] + at) / 4);
        for (unsigned n = 0; n < words.count; n++)
            turns = std::max(turns, ++of_bank[words.numbers[n] % 32]);
        sum += turns;
    }
    return sum;
}

/* An access is aligned, so it lies in one sector of 32 bytes. */
void count_access(const Warp &w, const Instruction &i, Mask mask, const Lanes &lanes) {
    Count &c = w.block->grid->kernel->counts[(size_t)(&i - w.kernel->code.data())];
    if (lanes.shared) {
        c.wavefronts += count_turns(i, mask, lanes);
        return;
    }
    Few sectors;
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            sectors.add(lanes.address[l] / 32);
    c.sectors += sectors.count;
    c.bytes += (long)i.bytes * i.vector * __builtin_popcount(mask);
}

/* ---- order between blocks ---- */

bool holds(const Warp &w, const Lanes &lanes, const Instruction &i) {
    return w.kernel->communicates && !lanes.shared && i.space != LOCAL && !w.block->grid->counting;
}

void show_block(Block &b, unsigned thread) {
    auto own = b.held_by_thread.find(thread);
    if (own == b.held_by_thread.end())
        return;
    for (auto &byte : own->second)
        b.held[byte.first] = byte.second;
    b.held_by_thread.erase(own);
}

/* In memory, for all. */
void write_byte(Block &b, uint64_t address, uint8_t value) {
    uint8_t *memory = (uint8_t *)address;
    b.grid->history[address].push_back({++b.grid->time, b.number, *memory});
    *memory = value;
}

void release(Block &b, unsigned thread) {
    show_block(b, thread);
    for (auto &byte : b.held)
        write_byte(b, byte.first, byte.second);
    b.held.clear();
}

void acquire(Block &b) {
    b.acquired = b.grid->time;
}

uint8_t oldest_byte(const Block &b, uint64_t address) {
    uint8_t value = *(uint8_t *)address;
    auto found = b.grid->history.find(address);
    if (found == b.grid->history.end())
        return value;
    const std::vector<Written> &all = found->second;
    for (size_t n = all.size(); n-- > 0 && all[n].time > b.acquired && all[n].block != b.number;)
        value = all[n].before;
    return value;
}

const uint8_t *find_byte(const Bytes &bytes, uint64_t address) {
    auto found = bytes.find(address);
    return found == bytes.end() ? nullptr : &found->second;
}

uint8_t load_byte(Block &b, unsigned thread, uint64_t address, bool strong) {
    auto own = b.held_by_thread.find(thread);
    if (own != b.held_by_thread.end())
        if (const uint8_t *byte = find_byte(own->second, address))
            return *byte;
    if (const uint8_t *byte = find_byte(b.held, address))
        return *byte;
    if (strong)
        write_byte(b, address, *(uint8_t *)address); /* of this block nobody sees anything older */
    return oldest_byte(b, address);
}

void store_byte(Block &b, unsigned thread, uint64_t address, uint8_t value, bool strong) {
    if (!strong) {
        b.held_by_thread[thread][address] = value;
        return;
    }
    auto own = b.held_by_thread.find(thread);
    if (own != b.held_by_thread.end())
        own->second.erase(address);
    b.held.erase(address);
    write_byte(b, address, value);
}

/* ---- loads and stores ---- */

/* Races show in the ascending order as in any; the others need not look again. */
void look(Warp &w, const Instruction &i, Mask mask, const Lanes &lanes, bool write) {
    if (w.block->grid->counting) {
        count_access(w, i, mask, lanes);
        return;
    }
    for (int l = 0; lanes.shared && !w.block->grid->order && l < LANES; l++)
        if (mask >> l & 1)
            watch(w, i, l, lanes.address[l], (unsigned)i.bytes * i.vector, write);
}

template <class T> T read_held(Warp &w, const Instruction &i, int lane, uint64_t address) {
    T value;
    for (unsigned n = 0; n < sizeof value; n++)
        ((uint8_t *)&value)[n] = load_byte(*w.block, thread_of(w, lane), address + n, i.strength != WEAK);
    return value;
}

template <class T> void write_held(Warp &w, const Instruction &i, int lane, uint64_t address, T value) {
    for (unsigned n = 0; n < sizeof value; n++)
        store_byte(*w.block, thread_of(w, lane), address + n, ((uint8_t *)&value)[n], i.strength != WEAK);
}

/* Operands: the registers, then the address. T is an element as memory has it, R what it becomes in a register. */
template <class T, class R> void load(Warp &w, const Instruction &i, Mask mask) {
    Lanes lanes;
    find_lanes(w, i, mask, i.operand[i.count - 1], &lanes);
    bool held = holds(w, lanes, i);
    look(w, i, mask, lanes, false);
    for (int v = 0; v < i.vector; v++) {
        R *to = w.lanes<R>(i.operand[v]);
        for (int l = 0; l < LANES; l++)
            if (mask >> l & 1)
                to[l] = held ? (R)read_held<T>(w, i, l, lanes.address[l] + v * sizeof(T)) : (R)((T *)lanes.host[l])[v];
        w.define(i.operand[v], mask, ALL);
    }
    if (held && i.strength == ACQUIRE)
        acquire(*w.block);
}

/* Operands: the address, then the registers. */
template <class T, class R> void store(Warp &w, const Instruction &i, Mask mask) {
    Lanes lanes;
    find_lanes(w, i, mask, i.operand[0], &lanes);
    bool held = holds(w, lanes, i), backwards = w.block->grid->order;
    for (int v = 0; v < i.vector && !w.block->grid->counting; v++)
        if (!w.is_defined(i.operand[1 + v], mask))
            fault_at(w, i, __builtin_ctz(mask & ~w.defined[i.operand[1 + v].number]), "an undefined value is stored");
    look(w, i, mask, lanes, true);
    for (int n = 0; n < LANES; n++) {
        int l = backwards ? LANES - 1 - n : n;
        if (!(mask >> l & 1))
            continue;
        if (held && i.strength == RELEASE)
            release(*w.block, thread_of(w, l));
        for (int v = 0; v < i.vector; v++) {
            T value = (T)w.lanes<R>(i.operand[1 + v])[l];
            if (held)
                write_held<T>(w, i, l, lanes.address[l] + v * sizeof(T), value);
            else
                ((T *)lanes.host[l])[v] = value;
        }
    }
}

template <class T> Run *choose_access(bool is_load, unsigned width) {
    switch (width) {
    case 2:
        return is_load ? load<T, uint16_t> : store<T, uint16_t>;
    case 4:
        return is_load ? load<T, uint32_t> : store<T, uint32_t>;
    case 8:
        return is_load ? load<T, uint64_t> : store<T, uint64_t>;
    default:
        return nullptr;
    }
}

/* ---- atomics ---- */

enum Change : uint8_t { ADD, MIN, MAX, INC, DEC, EXCH, CAS, AND, OR, XOR };

template <class T> T from(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T> uint64_t bits_of(T value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
}

template <class T> T changed(Change how, T old, T b, T c) {
    switch (how) {
    case ADD:
        return (T)(old + b);
    case MIN:
        return b < old ? b : old;
    case MAX:
        return old < b ? b : old;
    case INC:
        return old >= b ? (T)0 : (T)(old + 1);
    case DEC:
        return old == 0 || old > b ? b : (T)(old - 1);
    case CAS:
        return old == b ? c : old;
    default:
        return b;
    }
}
template <class T> T changed_bits(Change how, T old, T b) {
    return how == AND ? (T)(old & b) : how == OR ? (T)(old | b) : (T)(old ^ b);
}

/* Operands: old value (not of red), address, one or two values. extra: the change. */
template <class T> void atomic(Warp &w, const Instruction &i, Mask mask) {
    Lanes lanes;
    Change how = (Change)(i.extra & 15);
    int base = i.extra >> 4 & 1 ? 1 : 0;
    find_lanes(w, i, mask, i.operand[base], &lanes);
    bool held = holds(w, lanes, i);
    if (w.block->grid->counting)
        count_access(w, i, mask, lanes);
    for (int n = 0; n < LANES; n++) {
        int l = w.block->grid->order ? LANES - 1 - n : n;
        if (!(mask >> l & 1))
            continue;
        unsigned thread = thread_of(w, l);
        if (held && !i.block_scope && (i.strength == RELEASE || i.strength == ACQUIRE_RELEASE))
            release(*w.block, thread);
        T old, value;
        for (unsigned k = 0; k < sizeof old; k++)
            ((uint8_t *)&old)[k] = held ? load_byte(*w.block, thread, lanes.address[l] + k, true) : lanes.host[l][k];
        T b = from<T>(w.get(i.operand[base + 1], l)), c = how == CAS ? from<T>(w.get(i.operand[base + 2], l)) : b;
        if constexpr (std::is_integral_v<T>)
            value = how == AND || how == OR || how == XOR ? changed_bits(how, old, b) : changed(how, old, b, c);
        else
            value = changed(how, old, b, c);
        for (unsigned k = 0; k < sizeof value; k++)
            if (held)
                store_byte(*w.block, thread, lanes.address[l] + k, ((uint8_t *)&value)[k], true);
            else
                lanes.host[l][k] = ((uint8_t *)&value)[k];
        if (held && !i.block_scope && (i.strength == ACQUIRE || i.strength == ACQUIRE_RELEASE))
            acquire(*w.block);
        if (base)
            w.put(i.operand[0], l, bits_of(old));
    }
    if (base)
        w.define(i.operand[0], mask, ALL);
}

void fence(Warp &w, const Instruction &i, Mask mask) {
    for (int l = 0; l < LANES; l++) {
        if (!(mask >> l & 1))
            continue;
        if (i.block_scope)
            show_block(*w.block, thread_of(w, l));
        else
            release(*w.block, thread_of(w, l)), acquire(*w.block);
    }
}

/* ---- decoding ---- */

bool has(const std::vector<std::string> &parts, const char *word) {
    return std::find(parts.begin(), parts.end(), word) != parts.end();
}

Space space_of(const std::vector<std::string> &parts) {
    if (has(parts, "shared") || has(parts, "shared::cta"))
        return SHARED;
    return has(parts, "global") || has(parts, "const") ? GLOBAL : has(parts, "local") ? LOCAL : GENERIC;
}

Strength strength_of(const std::vector<std::string> &parts) {
    return has(parts, "acq_rel")                                                 ? ACQUIRE_RELEASE
           : has(parts, "acquire")                                               ? ACQUIRE
           : has(parts, "release")                                               ? RELEASE
           : has(parts, "relaxed") || has(parts, "volatile") || has(parts, "cv") ? STRONG
                                                                                 : WEAK;
}

bool decode_access(const std::vector<std::string> &parts, Instruction *i) {
    bool is_load = parts[0] == "ld" || parts[0] == "ldu";
    char kind = parts.back()[0];
    i->bytes = (uint8_t)(atoi(parts.back().c_str() + 1) / 8);
    i->vector = has(parts, "v4") ? 4 : has(parts, "v2") ? 2 : 1;
    i->strength = strength_of(parts);
    i->type = i->space == SHARED ? is_load ? LOAD_SHARED : STORE_SHARED : is_load ? LOAD_GLOBAL : STORE_GLOBAL;
    if (i->count != i->vector + 1)
        return false;
    unsigned width = 0;
    for (int v = 0; v < i->vector; v++) {
        Operand &o = i->operand[is_load ? v : v + 1];
        o.width = o.width ? o.width : i->bytes < 2 ? 2 : i->bytes; /* a literal's */
        if (o.width < i->bytes || (width && width != o.width))
            return false;
        width = o.width;
    }
    bool is_signed = kind == 's';
    i->run =
        i->bytes == 1   ? is_signed ? choose_access<int8_t>(is_load, width) : choose_access<uint8_t>(is_load, width)
          : i->bytes == 2 ? is_signed ? choose_access<int16_t>(is_load, width) : choose_access<uint16_t>(is_load, width)
          : i->bytes == 4 ? is_signed ? choose_access<int32_t>(is_load, width) : choose_access<uint32_t>(is_load, width)
          : i->bytes == 8 ? choose_access<uint64_t>(is_load, width)
                        : nullptr;
    return i->run;
}

bool decode_atomic(const std::vector<std::string> &parts, Instruction *i) {
    static const char *const changes[] = {"add", "min", "max", "inc", "dec", "exch", "cas", "and", "or", "xor"};
    std::string type = parts.back();
    bool returns = parts[0] == "atom";
    uint32_t change = 0;
    while (change < 10 && !has(parts, changes[change]))
        change++;
    if (change == 10)
        return false;
    i->extra = change | (returns ? 16u : 0);
    i->bytes = (uint8_t)(atoi(type.c_str() + 1) / 8);
    i->strength = strength_of(parts) == WEAK ? STRONG : strength_of(parts);
    i->block_scope = has(parts, "cta");
    i->type = ATOMIC;
    for (int n = 0; n < i->count; n++)
        if (!i->operand[n].width)
            i->operand[n].width = i->bytes;
    i->run = type == "f32"                    ? atomic<float>
             : type == "f64"                  ? atomic<double>
             : type == "s32"                  ? atomic<int32_t>
             : type == "s64"                  ? atomic<int64_t>
             : type == "u32" || type == "b32" ? atomic<uint32_t>
             : type == "u64" || type == "b64" ? atomic<uint64_t>
                                              : nullptr;
    return i->run;
}

} // namespace

void meet(Block &block) {
    while (!block.held_by_thread.empty())
        show_block(block, block.held_by_thread.begin()->first);
}

void let_go(Bytes &bytes) {
    for (auto &b : bytes)
        *(uint8_t *)b.first = b.second;
    bytes.clear();
}

bool decode_memory(const std::vector<std::string> &parts, Instruction *i) {
    i->space = space_of(parts);
    if (parts[0] == "ld" || parts[0] == "ldu" || parts[0] == "st")
        return decode_access(parts, i);
    if (parts[0] == "atom" || parts[0] == "red")
        return decode_atomic(parts, i);
    if (parts[0] == "membar" || (parts[0] == "fence" && parts.size() == 3)) {
        i->block_scope = has(parts, "cta");
        i->strength = ACQUIRE_RELEASE;
        i->type = ATOMIC;
        i->run = fence;
        return true;
    }
    return false;
}

} // namespace ptx
