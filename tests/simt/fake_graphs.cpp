/* fake_graphs.cpp: the captures and graphs of fake_cudart.cpp. The operations of a graph run in an order that its edges
 * allow: $SIMT_ORDER: 0, 1, 2, as they were put there, the latest that can be run first, or shuffled, by $SIMT_SEED;
 * $SIMT_DROP: number of an edge that graphs lack, from 0, those of one graph after those of the other; what waited along
 * it comes before all that it need not wait for; $SIMT_EDGES: a file that says how many edges and nodes each graph has;
 * $SIMT_STUTTER: milliseconds that the second launch of every other graph takes longer. */
#include "fake_cudart.h"
#include "simt_host.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace fake;

namespace {

struct Executable {
    std::vector<Operation> operations;
    int number, launches = 0;
};

/* These and all that comes before them. */
std::set<size_t> all_before(const Graph &graph, const std::set<size_t> &last) {
    std::set<size_t> found, next = last;
    while (!next.empty()) {
        size_t node = *next.begin();
        next.erase(next.begin());
        if (found.insert(node).second)
            next.insert(graph.nodes[node].after.begin(), graph.nodes[node].after.end());
    }
    return found;
}

/* Does every node of the graph come before what comes after `last`? */
bool all_joined(const Graph &graph, const std::set<size_t> &last) {
    std::set<size_t> ends = last;
    ends.insert(graph.released.begin(), graph.released.end());
    return all_before(graph, ends).size() == graph.nodes.size();
}

/* Which of count operations that can be run is next. */
size_t choose(size_t count) {
    static unsigned random = getenv("SIMT_SEED") ? (unsigned)atoi(getenv("SIMT_SEED")) : 1;
    const char *order = getenv("SIMT_ORDER");
    int kind = order ? atoi(order) % SIMT_ORDER_COUNT : 0;
    random = random * 1664525u + 1013904223u;
    return kind == SIMT_ascending ? 0 : kind == SIMT_descending ? count - 1 : (random >> 8) % count;
}

/* Takes out the edge that $SIMT_DROP says; gives what then comes first. */
std::set<size_t> drop_edge(Graph &graph) {
    static long count;
    const char *drop = getenv("SIMT_DROP"), *edges = getenv("SIMT_EDGES");
    long number = drop ? atol(drop) - count : -1, own = 0;
    std::set<size_t> first;
    for (size_t i = 0; i < graph.nodes.size(); i++) {
        std::set<size_t> after = graph.nodes[i].after;
        for (size_t j : after)
            if (own++ == number) {
                graph.nodes[i].after.erase(j);
                first = all_before(graph, {i});
            }
    }
    if (FILE *file = edges ? fopen(edges, "a") : nullptr) {
        fprintf(file, "%ld %zu\n", own, graph.nodes.size());
        fclose(file);
    }
    count += own;
    return first;
}

/* An order that the graph allows, with what is in `first` before all else. */
std::vector<Operation> put_in_order(const Graph &graph, const std::set<size_t> &first) {
    std::vector<Operation> operations;
    std::vector<std::vector<size_t>> before(graph.nodes.size());
    std::vector<size_t> waits_for, ready; /* ready: ascending */
    for (size_t i = 0; i < graph.nodes.size(); i++) {
        waits_for.push_back(graph.nodes[i].after.size());
        for (size_t j : graph.nodes[i].after)
            before[j].push_back(i);
        if (waits_for[i] == 0)
            ready.push_back(i);
    }
    while (!ready.empty()) {
        auto next = ready.begin() + (long)choose(ready.size());
        for (auto early = ready.begin(); early != ready.end() && !first.empty() && !first.count(*next); ++early)
            next = first.count(*early) ? early : next;
        size_t node = *next;
        ready.erase(next);
        operations.push_back(graph.nodes[node].operation);
        for (size_t i : before[node])
            if (--waits_for[i] == 0)
                ready.insert(std::lower_bound(ready.begin(), ready.end(), i), i);
    }
    return operations;
}

} // namespace

extern "C" {

int cudaStreamBeginCapture(void *handle, int) {
    if (stream_of(handle)->broken)
        return CAPTURE_INVALIDATED;
    stream_of(handle)->capture = new Graph();
    stream_of(handle)->last.clear();
    return SUCCESS;
}

/* A node is given as its number, from 1: of what the next operation on the stream comes after. */
int cudaStreamGetCaptureInfo(void *handle, int *state, unsigned long long *, void **graph, void *const **nodes,
                             const void **, size_t *count) {
    static std::vector<void *> last;
    Stream *stream = stream_of(handle);
    *state = stream->capture ? 1 : 0;
    *graph = stream->capture;
    last.clear();
    for (size_t node : stream->last)
        last.push_back((void *)(node + 1));
    *nodes = last.data();
    *count = last.size();
    return SUCCESS;
}

int cudaStreamUpdateCaptureDependencies(void *handle, void **nodes, const void *, size_t count, unsigned flags) {
    Stream *stream = stream_of(handle);
    if (!stream->capture)
        return ILLEGAL_STATE;
    if (stream->capture->invalid)
        return CAPTURE_INVALIDATED;
    std::set<size_t> given;
    for (size_t i = 0; i < count; i++)
        if ((size_t)nodes[i] - 1 >= stream->capture->nodes.size() || !given.insert((size_t)nodes[i] - 1).second)
            return INVALID_VALUE;
    if (flags == 1) {
        stream->capture->released.insert(stream->last.begin(), stream->last.end());
        stream->last.clear();
    }
    stream->last.insert(given.begin(), given.end());
    return SUCCESS;
}

int cudaStreamEndCapture(void *handle, void **graph) {
    Graph *made = stream_of(handle)->capture;
    *graph = nullptr;
    if (!made)
        return CAPTURE_UNSUPPORTED;
    int status = made->invalid                                ? CAPTURE_INVALIDATED
                 : all_joined(*made, stream_of(handle)->last) ? SUCCESS
                                                              : CAPTURE_UNJOINED;
    for (Stream *stream : streams)
        if (stream->capture == made) {
            stream->broken = status != SUCCESS && stream != stream_of(handle);
            stream->capture = nullptr;
        }
    if (status == SUCCESS)
        *graph = made;
    else
        delete made;
    return status;
}

int cudaGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) {
    static int count;
    std::set<size_t> first = drop_edge(*(Graph *)graph);
    *executable = new Executable{put_in_order(*(Graph *)graph, first), count++};
    return SUCCESS;
}

int cudaGraphLaunch(void *handle, void *stream) {
    Executable *executable = (Executable *)handle;
    double stutter = read_ms("SIMT_STUTTER");
    if (executable->number % 2 == 0 && executable->launches++ == 1 && stutter > 0)
        put(stream, [=] {
            usleep((unsigned)(1e3 * stutter));
            return (int)SUCCESS;
        });
    for (const Operation &operation : executable->operations)
        put(stream, operation);
    return stream_of(stream)->broken ? CAPTURE_INVALIDATED : SUCCESS;
}

int cudaGraphExecDestroy(void *executable) {
    delete (Executable *)executable;
    return SUCCESS;
}

int cudaGraphDestroy(void *graph) {
    delete (Graph *)graph;
    return SUCCESS;
}
}
