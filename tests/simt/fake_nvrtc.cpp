/* fake_nvrtc.cpp: a libnvrtc for tests: what it compiles is a shared object for the emulator, which fake_cudart.cpp
 * loads. $SIMT_OPTIONS: more options for g++. With $SIMT_PTX set it is the PTX that the real one makes, in a shared object
 * with the room for plan and weights. */
#include "simt_host.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace {

struct Program {
    std::string source, result, log;
};

std::string read_file(const std::string &path) {
    std::string bytes;
    if (FILE *file = fopen(path.c_str(), "rb")) {
        char buffer[65536];
        for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;)
            bytes.append(buffer, n);
        fclose(file);
    }
    return bytes;
}

enum { SUCCESS = 0, COMPILATION = 6 };

/* The lines of the source that make room in the module. */
std::string find_rooms(const std::string &source) {
    std::string rooms;
    const std::string head = "extern \"C\" __device__ uint64_t nd_";
    for (size_t at = source.find(head); at != std::string::npos; at = source.find(head, at + 1))
        rooms += source.substr(at, source.find('\n', at) + 1 - at);
    return rooms;
}

/* PTX at path becomes a shared object there, with the PTX as simt_ptx. */
bool wrap_ptx(const std::string &source, const std::string &path) {
    const char *compiler = getenv("CXX");
    const std::string text = path + ".cpp", ptx = path + ".ptx";
    FILE *file = rename(path.c_str(), ptx.c_str()) == 0 ? fopen(text.c_str(), "w") : nullptr;
    if (!file)
        return false;
    fprintf(file,
            "typedef unsigned long long uint64_t;\n#define __device__\n%s"
            "__asm__(\".section .rodata\\n.globl simt_ptx\\nsimt_ptx: .incbin \\\"%s\\\"\\n.byte 0\\n\");\n",
            find_rooms(source).c_str(), ptx.c_str());
    fclose(file);
    bool done =
        system((std::string(compiler ? compiler : "g++") + " -shared -fPIC -o " + path + " " + text).c_str()) == 0;
    unlink(text.c_str());
    unlink(ptx.c_str());
    return done;
}

} // namespace

extern "C" {

/* A version that no real library has, so that what the cache holds is never mistaken. */
int nvrtcVersion(int *major, int *minor) {
    *major = getenv("SIMT_PTX") ? 98 : 99;
    *minor = 0;
    return SUCCESS;
}

int nvrtcCreateProgram(Program **program, const char *source, const char *, int, const char *const *,
                       const char *const *) {
    *program = new Program{source, "", ""};
    return SUCCESS;
}

int nvrtcCompileProgram(Program *program, int, const char *const *) {
    char path[] = "/tmp/simt-cubin-XXXXXX", log[8192];
    close(mkstemp(path));
    const char *options = getenv("SIMT_OPTIONS");
    bool done = simt_build(program->source.c_str(), options ? options : "", path, log, sizeof log);
    program->log = log;
    done = done && (!getenv("SIMT_PTX") || wrap_ptx(program->source, path));
    if (done)
        program->result = read_file(path);
    unlink(path);
    return done ? SUCCESS : COMPILATION;
}

int nvrtcDestroyProgram(Program **program) {
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

int nvrtcGetProgramLogSize(Program *program, size_t *size) {
    *size = program->log.size() + 1;
    return SUCCESS;
}

int nvrtcGetProgramLog(Program *program, char *log) {
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}

int nvrtcGetCUBINSize(Program *program, size_t *size) {
    *size = program->result.size();
    return SUCCESS;
}

int nvrtcGetCUBIN(Program *program, char *bytes) {
    memcpy(bytes, program->result.data(), program->result.size());
    return SUCCESS;
}

int nvrtcGetPTXSize(Program *, size_t *size) {
    *size = 0;
    return SUCCESS;
}

int nvrtcGetPTX(Program *, char *) {
    return SUCCESS;
}

const char *nvrtcGetErrorString(int status) {
    return status == SUCCESS ? "NVRTC_SUCCESS" : "NVRTC_ERROR_COMPILATION";
}
}
