/* ndarts_run.c: ndarts-run COMMAND ...: one row per command. */
#include "base/diag.h"
#include "base/memory.h"
#include "base/str.h"
#include "runtime/device/cudnn.h"
#include "runtime/driver/runtime.h"

#include <signal.h>
#include <stdio.h>

typedef struct RtCommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage, *help;
    bool has_help;  /* says more about itself with --help */
    bool on_device; /* takes --device, and so --no-cudnn */
} RtCommand;

static const RtCommand commands[] = {
    {"search", rt_search_main,
     "SPEC.nd [--out DIR] [--resume] [--seed N] [--threads N] [--set NAME=VALUE] [--init W.safetensors]",
     "searches for a genotype", true, true},
    {"train", rt_train_main,
     "TEXT.nd [--recipe cifar] [--out DIR] [--resume] [--seed N | --seeds 0..3] [--set NAME=VALUE] ...",
     "trains a genotype or a network", true, true},
    {"eval", rt_eval_main,
     "NET.nd|NET.ir|NET.so --weights W.safetensors [--data 'SOURCE(\"PATH\")'] [--part test|train] ...",
     "top-1, top-5, loss and images per second on a data set", false, true},
    {"derive", rt_derive_main, "ALPHAS.safetensors|CHECKPOINT [...]", "prints the genotype that the alphas say", true,
     false},
    {"genotype", rt_genotype_main,
     "FILE|- [--line N | --epoch N | --name NAME] [--as NAME] [--format nd|python|nb201] [-o OUT]\n"
     "           [--network NAME] [-C N] [--layers N] [--classes N] [--auxiliary WEIGHT]",
     "a Genotype(...), NAS-Bench-201 or NAS-Bench-301 cell of a paper or log as a text, or back", false, false},
    {"trace", rt_trace_main,
     "TEXT --weights W.safetensors --feed F.safetensors [--epoch E] [--steps K] -o OUT.safetensors\n"
     "           [--precision f32|f64] [--set NAME=VALUE] [--threads N] [--seed N] [--vector BYTES] [--plain]",
     "writes down what a text computes for given inputs, weights and draws", false, true},
    {"infer", rt_infer_main,
     "NET.nd|NET.so|NET.cubin --weights W.safetensors PICTURE...|--input x.npy --output y.npy [--classes FILE] ...",
     "the five best classes of pictures, or the logits of an array", false, true},
    {"import", rt_import_main, "W.pt -o W.safetensors [--key NAME] [--strip PREFIX] [--net NET.nd [--set NAME=VALUE]]",
     "weights out of a PyTorch checkpoint", false, false},
    {"export", rt_export_main, "NET.nd --weights W.safetensors -o NET.onnx|W.safetensors [--set NAME=VALUE]",
     "a network as ONNX, or exactly its weights", false, false},
    {"tune", rt_tune_main,
     "TEXT [--graph=A,B] [--tune FILE] [--batch N] [--set NAME=VALUE] [--precision f32|f64] [--vector BYTES]",
     "finds the tiles with which a text's convolutions are fastest on this machine", false, false},
    {"report", rt_report_main, "OUT... [-o PAGE.html]", "one HTML page about one or several runs", true, false},
    {"info", rt_info_main, "", "shows the machine, its compiler, backends and versions", false, false},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fprintf(out, "usage: ndarts-run COMMAND ...\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
}

static const RtCommand *find_command(const char *name) {
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (str_equal(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}

static int report_unknown(const char *name) {
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    Error error = {ERROR_NONE, ""};
    Arena *arena = arena_create();
    error_set(&error, ERROR_INPUT, "unknown command '%s'%s", name, diag_choices(arena, name, names, COMMAND_COUNT));
    arena_destroy(arena);
    return error_report(&error);
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (str_equal(argv[i], "--help") || str_equal(argv[i], "-h"))
            return true;
    }
    return false;
}

/* Takes --no-cudnn out of the arguments of a command that could use it; it is for the whole process. */
static void take_no_cudnn(int *argc, char **argv) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (str_equal(argv[i], "--no-cudnn"))
            cudnn_forbid();
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
}

static int print_command_usage(const RtCommand *command) {
    printf("usage: ndarts-run %s %s\n\n%s; docs/cli.md has all options\n", command->name, command->usage,
           command->help);
    return 0;
}

static int run(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failing write, which is reported */
    if (argc < 2) {
        print_usage(stderr);
        return ERROR_INPUT;
    }
    if (str_equal(argv[1], "--help") || str_equal(argv[1], "-h") || str_equal(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    if (str_equal(argv[1], "--version")) {
        printf("ndarts %s\n", NDARTS_VERSION);
        return 0;
    }
    const RtCommand *command = find_command(argv[1]);
    if (command && !command->has_help && asks_for_help(argc, argv))
        return print_command_usage(command);
    if (command && command->on_device)
        take_no_cudnn(&argc, argv);
    return command ? command->run(argc - 1, argv + 1) : report_unknown(argv[1]);
}

int main(int argc, char **argv) {
    memory_guard_json(false);
    return error_check_stdout(run(argc, argv));
}
