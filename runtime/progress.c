/* progress.c: the progress bar.
 *     epoch 3/50 [=======>            ] 120/196  812 images/s  loss 1.234  accuracy 56.7 %  1:02:03 left */
#include "runtime/progress.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 24 };
static const double terminal_interval = 0.2, plain_interval = 10.0; /* seconds */

double progress_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void progress_begin(Progress *progress, FILE *out, int64_t epochs, int64_t steps, int64_t first_done) {
    memset(progress, 0, sizeof(*progress));
    progress->out = out;
    progress->terminal = isatty(fileno(out)) == 1;
    progress->epochs = epochs;
    progress->steps = steps;
    progress->first_done = first_done;
    progress->started = progress_clock();
    progress->shown = progress->started;
}

static void format_time(double seconds, char *out, size_t size) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw_bar(FILE *out, int64_t step, int64_t steps) {
    int filled = steps > 0 ? (int)(BAR_WIDTH * step / steps) : BAR_WIDTH;
    fputs(" [", out);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < filled ? '=' : i == filled ? '>' : ' ', out);
    fputc(']', out);
}

void progress_step(Progress *progress, int64_t epoch, int64_t step, int64_t images, double loss, double accuracy) {
    progress->images += images;
    double now = progress_clock();
    if (now - progress->shown < (progress->terminal ? terminal_interval : plain_interval))
        return;
    progress->shown = now;
    int64_t done = epoch * progress->steps + step, total = progress->epochs * progress->steps;
    int64_t done_here = done - progress->first_done;
    char left[32];
    format_time(done_here > 0 ? (now - progress->started) * (double)(total - done) / (double)done_here : 0.0, left,
                sizeof(left));
    fprintf(progress->out, "%sepoch %lld/%lld", progress->terminal ? "\r\033[K" : "", (long long)epoch + 1,
            (long long)progress->epochs);
    if (progress->terminal)
        draw_bar(progress->out, step, progress->steps);
    fprintf(progress->out, " %lld/%lld  %.0f images/s  loss %.4f  accuracy %.2f %%  %s left%s", (long long)step,
            (long long)progress->steps, progress_images_per_second(progress), loss, 100 * accuracy, left,
            progress->terminal ? "" : "\n");
    fflush(progress->out);
    progress->bar_drawn = progress->terminal;
}

void progress_clear(Progress *progress) {
    if (progress->bar_drawn)
        fputs("\r\033[K", progress->out);
    progress->bar_drawn = false;
}

double progress_images_per_second(const Progress *progress) {
    double seconds = progress_clock() - progress->started;
    return seconds > 0 ? (double)progress->images / seconds : 0.0;
}
