/* evaluate.c: loss, top-1 and top-5 accuracy, and what images of each class are taken for. */
#include "runtime/loops/evaluate.h"

#include "base/clock.h"

#include "runtime/driver/step.h"
#include "runtime/loops/progress.h"

#include <math.h>
#include <string.h>

/* What is no number counts as the largest, as in PyTorch: a network that broke down is right by chance only. */
static bool is_larger(double a, double b) {
    return a > b || (isnan(a) && !isnan(b));
}

int64_t evaluate_count_correct(const Tensor *logits, const int32_t *labels, int first) {
    int64_t images = logits->shape[0], classes = logits->shape[1], correct = 0;
    for (int64_t n = 0; n < images; n++) {
        double own = tensor_get(logits, n * classes + labels[n]);
        int64_t before = 0;
        for (int64_t c = 0; c < classes; c++) {
            double other = tensor_get(logits, n * classes + c);
            before += is_larger(other, own) || (c < labels[n] && !is_larger(own, other));
        }
        correct += before < first;
    }
    return correct;
}

const char *evaluate_top5_words(Arena *arena, const char *prefix, double accuracy5) {
    return isnan(accuracy5) ? "" : arena_printf(arena, "%s%.2f %%", prefix, 100 * accuracy5);
}

double evaluate_loss(const Tensor *logits, const int32_t *labels) {
    int64_t images = logits->shape[0], classes = logits->shape[1];
    double sum = 0;
    for (int64_t n = 0; n < images; n++) {
        double largest = -INFINITY, exponentials = 0;
        for (int64_t c = 0; c < classes; c++)
            largest = fmax(largest, tensor_get(logits, n * classes + c));
        for (int64_t c = 0; c < classes; c++)
            exponentials += exp(tensor_get(logits, n * classes + c) - largest);
        sum += largest + log(exponentials) - tensor_get(logits, n * classes + labels[n]);
    }
    return sum / (double)images;
}

GraphKind evaluate_kind(const RtProgram *program) {
    return rt_has_graph(program, GRAPH_eval) ? GRAPH_eval : GRAPH_infer;
}

/* labels: of the logits. */
static bool run_on(RtProgram *program, const RtRun *run, const int32_t *labels, Classwise *classwise,
                   PassResult *result, Error *error) {
    if (!rt_run(program, run, error))
        return false;
    Arena *arena = arena_create();
    Tensor logits = rt_output_get(program, run->kind, "logits", arena);
    result->images = run->batch;
    result->correct = evaluate_count_correct(&logits, labels, 1);
    result->correct5 = evaluate_count_correct(&logits, labels, EVALUATE_TOP);
    if (classwise)
        classwise_add(classwise, &logits, labels);
    result->loss =
        run->kind == GRAPH_infer ? evaluate_loss(&logits, labels) : rt_output_scalar(program, run->kind, "loss");
    arena_destroy(arena);
    return true;
}

bool evaluate_batch(RtProgram *program, RtRun run, const Batch *batch, Classwise *classwise, PassResult *result,
                    Error *error) {
    RtInput inputs[] = {{"input", batch->images}, {"labels", batch->labels}};
    if (batch->targets)
        inputs[1] = (RtInput){"targets", batch->targets};
    run.batch = batch->count;
    run.image_base = (uint64_t)batch->position;
    run.input_count = run.kind == GRAPH_infer ? 1 : 2;
    run.inputs = inputs;
    return run_on(program, &run, batch->labels, classwise, result, error);
}

/* Draws are named by the places of the training images. */
bool evaluate_pair(RtProgram *program, RtRun run, const Batch *training, const Batch *batch, PassResult *result,
                   Error *error) {
    RtInput inputs[] = {{"input", training->images},
                        {"labels", training->labels},
                        {"input_valid", batch->images},
                        {"labels_valid", batch->labels}};
    run.batch = training->count < batch->count ? training->count : batch->count;
    run.image_base = (uint64_t)training->position;
    run.input_count = 4;
    run.inputs = inputs;
    return run_on(program, &run, batch->labels, NULL, result, error);
}

RtRun evaluate_alone(const RtProgram *program) {
    return rt_step(evaluate_kind(program), NULL, 0, NULL);
}

bool evaluate_images(RtProgram *program, Loader *loader, RtRun run, bool (*stop)(void), Classwise *classwise,
                     Evaluation *result, Error *error) {
    double loss = 0, started = clock_now();
    int64_t correct = 0, correct5 = 0, images = 0;
    bool has_top5 = rt_output_info(program, evaluate_kind(program), "logits")->shape[1] > EVALUATE_TOP;
    const Batch *batch;
    if (classwise)
        classwise_clear(classwise);
    loader_start(loader, 0, 0, 0);
    while (!(stop && stop()) && (batch = loader_next(loader, error))) {
        PassResult one;
        if (!evaluate_batch(program, run, batch, classwise, &one, error))
            return false;
        loss += one.loss * (double)batch->count;
        correct += one.correct;
        correct5 += one.correct5;
        images += batch->count;
    }
    if (error->kind)
        return false;
    if (images == 0 && !(stop && stop()))
        return error_set(error, ERROR_INPUT, "there is nothing to evaluate: none of the images can be read");
    *result = (Evaluation){.loss = images > 0 ? loss / (double)images : NAN,
                           .accuracy = images > 0 ? (double)correct / (double)images : NAN,
                           .accuracy5 = images > 0 && has_top5 ? (double)correct5 / (double)images : NAN,
                           .images = images,
                           .seconds = clock_now() - started};
    return true;
}
