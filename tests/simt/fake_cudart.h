/* fake_cudart.h: what fake_cudart.cpp and fake_graphs.cpp share: streams, on which operations wait, and the graphs that are
 * captured from them. */
#ifndef NDARTS_TESTS_FAKE_CUDART_H
#define NDARTS_TESTS_FAKE_CUDART_H

#include <cstddef>
#include <deque>
#include <functional>
#include <set>
#include <vector>

namespace fake {

enum Status {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_IMAGE = 200,
    NO_DEVICE = 100,
    INVALID_HANDLE = 400,
    ILLEGAL_STATE = 401,
    SYMBOL_NOT_FOUND = 500,
    NOT_READY = 600,
    NO_KERNEL_IMAGE = 209,
    LAUNCH_FAILURE = 719,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNJOINED = 904
};

typedef std::function<int()> Operation;

struct Node {
    Operation operation;
    std::set<size_t> after; /* nodes that must have ended */
};

struct Graph {
    std::vector<Node> nodes;
    std::set<size_t> released; /* that the capturing stream no longer waits for, as it was told */
    bool invalid = false;      /* something was done that cannot be captured */
};

struct Stream {
    std::deque<Operation> waiting;
    bool blocking = true;
    Graph *capture = nullptr;
    std::set<size_t> last; /* of the capture: what the next operation comes after */
    bool broken = false;   /* by a capture that failed */
};

struct Event {
    Stream *stream = nullptr;
    bool reached = true, timed;
    double milliseconds = 0; /* when it was reached */
    Graph *capture = nullptr;
    std::set<size_t> last;
};

extern std::vector<Stream *> streams; /* all but the legacy one */

Stream *stream_of(void *handle);            /* NULL: the legacy one */
int put(void *handle, Operation operation); /* on a stream, or into the graph that is captured from it */
double read_ms(const char *variable);       /* of the environment; 0 when it is not set */

} // namespace fake

/* For other stand-ins: put, unless $SIMT_NO_LIBRARY_CAPTURE says that they cannot be captured. */
int fake_cudart_put(void *stream, std::function<int()> operation);

#endif
