/* wrapper.cpp: what the emulator adds to emitted source: an entry for each kernel, and where its shared memory lies. */
#include "wrapper.h"

#include <algorithm>

namespace {

bool is_word(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The name before the parameters of the kernel whose "__global__" ends at `at`. */
std::string kernel_name(const std::string &source, size_t at) {
    std::string name;
    while (at < source.size()) {
        if (is_word(source[at])) {
            size_t begin = at;
            while (at < source.size() && is_word(source[at]))
                at++;
            name = source.substr(begin, at - begin);
        } else if (source[at] == '(' && name == "__launch_bounds__") {
            at = source.find(')', at) + 1;
        } else if (source[at] == '(') {
            return name;
        } else {
            at++;
        }
    }
    return "";
}

/* The sections of shared memory that lines [first, end) of the source define. */
std::string shared_sections(const std::string &source, size_t begin, size_t end, size_t line,
                            std::string *declarations) {
    std::string list;
    for (size_t at = begin; at < end; line++) {
        size_t next = source.find('\n', at);
        next = next == std::string::npos ? source.size() : next + 1;
        if (source.find("__shared__ ", at) < next) {
            std::string name = "simt_shared_" + std::to_string(line);
            for (const char *border : {"__start_", "__stop_"})
                *declarations +=
                    "extern \"C\" unsigned char " + (border + name) + "[] __attribute__((visibility(\"hidden\")));\n";
            list += "__start_" + name + ", __stop_" + name + ", ";
        }
        at = next;
    }
    return list;
}

} // namespace

/* Entries, and for each kernel the borders of its shared memory, a zero at the end. A kernel's lines end where the next
 * begins. */
std::string wrapper_text(const std::string &source) {
    std::string text = "#include \"kernels.cu\"\n", declarations;
    const std::string mark = "__global__";
    for (size_t at = source.find(mark), next; at != std::string::npos; at = next) {
        next = source.find(mark, at + mark.size());
        std::string name = kernel_name(source, at + mark.size());
        size_t line = 1 + (size_t)std::count(source.begin(), source.begin() + (long)at, '\n');
        std::string sections =
            shared_sections(source, at, next == std::string::npos ? source.size() : next, line, &declarations);
        text += declarations + "SIMT_ENTRY(" + name + ")\nextern \"C\" { unsigned char *simt_shared_of_" + name +
                "[] = {" + sections + "nullptr}; }\n";
        declarations.clear();
    }
    return text;
}
