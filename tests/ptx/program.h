/* program.h: PTX as the executor has it: kernels of decoded instructions, and the warps and blocks that run them.
 *
 * parse.cpp reads the text, arithmetic.cpp, memory.cpp and collective.cpp are what instructions do, run.cpp runs a grid.
 * An instruction is carried out for all lanes of a warp that stand at it, as on a device. A warp's registers lie behind
 * each other, 32 lanes each of as many bytes as the register has; literals, %tid and the like, and the kernel's
 * parameters are registers that nobody writes, so an operand is always an offset. Beside each register stands which of
 * its lanes are defined: what is computed from something undefined is undefined, and to branch on it, to use it as an
 * address, to store it or to give it to other lanes is an error. */
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx {

typedef uint32_t Mask; /* of lanes */
enum { LANES = 32, MOST_OPERANDS = 16, MOST_THREADS = 1024 };
constexpr Mask ALL = ~0u;
/* Generic addresses of shared and local memory: their windows, above all addresses of the host. */
constexpr uint64_t SHARED_WINDOW = 1ull << 56, LOCAL_WINDOW = 2ull << 56, WINDOWS = 3ull << 56;

struct Warp;
struct Instruction;
typedef void Run(Warp &, const Instruction &, Mask);

enum Kind : uint8_t { PLAIN, BRANCH, RETURN, BARRIER, COLLECTIVE };
enum Space : uint8_t { GENERIC, GLOBAL, SHARED, LOCAL, PARAM };
/* How an access takes part in the order of memory. */
enum Strength : uint8_t { WEAK, STRONG, ACQUIRE, RELEASE, ACQUIRE_RELEASE };
/* What is counted together (bench/ptx_count.py). */
enum Class : uint8_t {
    INTEGER,
    FLOAT,
    DOUBLE,
    SPECIAL, /* roots, exponentials, divisions: many instructions of the device */
    CONVERT,
    MOVE,
    CONTROL,
    LOAD_GLOBAL,
    STORE_GLOBAL,
    LOAD_SHARED,
    STORE_SHARED,
    TENSOR,
    EXCHANGE, /* shuffles, votes */
    ATOMIC,   /* and fences */
    SYNC,     /* barriers */
    NOTHING,  /* of the translation to PTX only: no instruction of the device */
    CLASS_COUNT
};

struct Operand {
    uint32_t at = 0;      /* offset of lane 0 */
    uint16_t number = 0;  /* of the register */
    uint8_t width = 0;    /* bytes of a lane; 0: there is none */
    bool negated = false; /* of a predicate */
};

struct Instruction {
    Run *run = nullptr;
    Kind kind = PLAIN;
    Space space = GENERIC;
    Strength strength = WEAK;
    Class type = INTEGER;
    uint8_t bytes = 0, vector = 1, count = 0; /* of an element; elements; operands */
    uint8_t weight = 1;                       /* instructions of a device, about, that it stands for */
    bool conditional = false, block_scope = false;
    Operand guard, operand[MOST_OPERANDS];
    int target = 0;     /* of a branch */
    int member = -1;    /* the operand with the lanes that take part */
    uint32_t extra = 0; /* as its function wants */
    int64_t offset = 0; /* of an address */
    int line = 0, source_line = 0;
    const char *name = "";               /* the program's */
    mutable uint64_t begin = 0, end = 0; /* the range of memory that it met last */
};

struct Count {
    long warps = 0, lanes = 0;   /* instructions of warps, of threads */
    long sectors = 0, bytes = 0; /* of global memory: 32 bytes each; asked for */
    long wavefronts = 0;         /* of shared memory */
};

struct Constant {
    Operand place;
    uint64_t bits;
};

struct Kernel {
    std::string name;
    std::vector<Instruction> code;
    std::vector<Constant> constants;
    std::vector<std::pair<uint64_t, uint64_t>> globals; /* begin and end of the module's own memory */
    std::vector<Operand> parameters;
    std::map<std::string, Operand> special; /* %tid.x and the like that it reads */
    uint32_t file_bytes = 0, register_count = 0, shared_bytes = 0, local_bytes = 0;
    bool communicates = false;  /* has atomics, fences or strong accesses: blocks may talk to each other */
    std::vector<Count> counts;  /* of each instruction, where they are wanted */
    uint64_t range_changes = 0; /* when its instructions met theirs */
};

struct Program {
    std::map<std::string, Kernel> kernels;
    std::map<std::string, std::vector<uint8_t>> globals;
    std::set<std::string> names; /* of instructions, for messages */
};

/* What is wrong with a program, with its text or while it runs. */
struct Fault {
    std::string message;
};
[[noreturn]] void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Names kernel, block, thread, the line of the PTX and the source's. */
[[noreturn]] void fault_at(const Warp &w, const Instruction &i, int lane, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- while a grid runs ---- */

enum Waiting : uint8_t { NOT, FOR_LANES, AT_BARRIER };
struct Group { /* lanes at one place */
    int pc;
    Mask mask;
    Waiting waiting;
};

/* Which threads touched some bytes of shared memory last, and when: of a thread's warp and block the barriers so far. */
struct Shadow {
    uint32_t write_barrier = 0, read_barrier = 0, write_sync = 0, read_sync = 0;
    uint16_t writer = 0, reader = 0;
};
enum { NOBODY = 0xffff, SEVERAL = 0xfffe };

typedef std::unordered_map<uint64_t, uint8_t> Bytes;
/* A byte of memory is written, by a block of the grid. */
struct Written {
    uint64_t time;
    unsigned block;
    uint8_t before;
};

struct Grid;
struct Block {
    Grid *grid;
    unsigned number, index[3];
    std::vector<Warp> warps;
    std::vector<uint8_t> shared, local, file;
    std::vector<Mask> defined;
    std::vector<Shadow> shadow;
    unsigned threads, arrived, finished;
    uint32_t barriers;
    /* Of kernels whose blocks talk: stores that only their thread sees yet, or only the block; the grid's time of the
     * last fence. */
    std::unordered_map<unsigned, Bytes> held_by_thread;
    Bytes held;
    uint64_t acquired;
    unsigned rests; /* turns in which it does nothing: behind an atomic or a fence others come first, sometimes */
};

struct Warp {
    uint8_t *file;
    Mask *defined;
    const Kernel *kernel;
    Block *block;
    unsigned first; /* thread */
    Mask exist, alive, mask;
    int pc, limit; /* limit: where another group stands, or none */
    uint32_t syncs;
    std::vector<Group> others;

    template <class T> T *lanes(const Operand &o) {
        return (T *)(file + o.at);
    }
    bool is_defined(const Operand &o, Mask lanes) const {
        return (defined[o.number] & lanes) == lanes;
    }
    void define(const Operand &o, Mask lanes, Mask which) {
        defined[o.number] = (defined[o.number] & ~lanes) | (which & lanes);
    }
    Mask holds(const Operand &predicate) const;
    /* The bits of a lane of an operand of any width. */
    uint64_t get(const Operand &o, int lane) const;
    void put(const Operand &o, int lane, uint64_t bits);
};

struct Grid {
    Kernel *kernel;
    unsigned size[3], block[3];
    size_t dynamic_bytes;
    int order;     /* SimtOrder */
    bool counting; /* then undefined values and races are not looked for */
    uint64_t random;
    long barriers; /* met */
    /* Of kernels whose blocks talk, by address, in the order of time. */
    std::unordered_map<uint64_t, std::vector<Written>> history;
    uint64_t time;
};

/* The range of memory, of those that are allowed, with these bytes; false when there is none. No range at all: all is
 * allowed. */
bool find_range(uint64_t address, unsigned bytes, uint64_t *begin, uint64_t *end);
uint64_t range_changes(); /* how often they have changed */

/* ---- parts ---- */

Program parse(const char *text);
/* What an instruction does with its operands, of which literals have no width yet, and get one; a null pointer, or false,
 * when the name is not known or does not fit. name has no modifiers that do not matter, parts are those of the whole
 * name. */
Run *find_arithmetic(const std::string &name, Instruction *i);
bool decode_memory(const std::vector<std::string> &parts, Instruction *i);
bool decode_collective(const std::string &name, const std::vector<std::string> &parts, Instruction *i);
/* All threads of a block have met; a thread's held stores are seen by all of them. */
void meet(Block &block);
/* What is held goes to memory. */
void let_go(Bytes &bytes);
/* The blocks first, first + step, and so on of a grid. How many barriers they met; a Fault is thrown when something is
 * wrong. */
struct Launch {
    Kernel *kernel;
    unsigned grid[3], block[3];
    void **arguments;
    size_t dynamic_bytes;
    int order;
    bool counting;
    unsigned first, step;
};
long launch(const Launch &launch);

} // namespace ptx
