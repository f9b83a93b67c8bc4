/* progress.c: the progress bar.
 *     epoch 3/50 [=======>            ] 120/196  812 images/s  loss 1.2345  accuracy 56.78 %  1:02:03 left
 * and in a terminal of few columns
 *     epoch 3/50 [==>   ] 120/196  812 img/s  loss 1.234  acc 56.7 %  1:02:03 left */
#include "runtime/loops/progress.h"

#include "base/clock.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 24, BAR_LEAST = 3, LONG_COLUMNS = 100 };
static const double terminal_interval = 0.2, plain_interval = 10.0; /* seconds */

typedef struct ProgressStep {
    int64_t epoch, step;
    double loss, accuracy; /* means of the epoch so far */
} ProgressStep;

void progress_begin(Progress *progress, FILE *out, int64_t epochs, int64_t steps, int64_t first_done) {
    memset(progress, 0, sizeof(*progress));
    progress->out = out;
    progress->terminal = isatty(fileno(out)) == 1;
    progress->epochs = epochs;
    progress->steps = steps;
    progress->first_done = first_done;
    progress->started = clock_now();
    progress->shown = progress->started;
}

static void format_time(double seconds, char *out, size_t size) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

/* What stands before the bar and what follows it. */
typedef struct ProgressLine {
    char before[48], after[112];
} ProgressLine;

static void format_line(const Progress *p, const ProgressStep *at, bool is_short, ProgressLine *line) {
    int64_t done = at->epoch * p->steps + at->step, total = p->epochs * p->steps, done_here = done - p->first_done;
    double seconds = clock_now() - p->started;
    char left[32];
    format_time(done_here > 0 ? seconds * (double)(total - done) / (double)done_here : 0.0, left, sizeof(left));
    snprintf(line->before, sizeof(line->before), "epoch %lld/%lld", (long long)at->epoch + 1, (long long)p->epochs);
    snprintf(line->after, sizeof(line->after),
             is_short ? " %lld/%lld  %.0f img/s  loss %.3f  acc %.1f %%  %s left"
                      : " %lld/%lld  %.0f images/s  loss %.4f  accuracy %.2f %%  %s left",
             (long long)at->step, (long long)p->steps, progress_images_per_second(p), at->loss, 100 * at->accuracy,
             left);
}

/* Columns of the terminal, asked every time: its window may be resized. */
static int terminal_columns(FILE *out) {
    struct winsize size;
    bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

/* One line that never wraps, for a wrapped line cannot be drawn over: the bar takes what is left of it. */
static void draw_bar(const Progress *p, const ProgressStep *at) {
    int columns = terminal_columns(p->out) - 1;
    ProgressLine line;
    format_line(p, at, columns < LONG_COLUMNS, &line);
    int room = columns - (int)(strlen(line.before) + strlen(line.after)) - (int)strlen(" []");
    int width = room < BAR_WIDTH ? room : BAR_WIDTH;
    char text[sizeof(line) + BAR_WIDTH + 8], bar[BAR_WIDTH + 8] = "";
    if (width >= BAR_LEAST) {
        int filled = p->steps > 0 ? (int)(width * at->step / p->steps) : width;
        memset(bar, ' ', (size_t)width + 3);
        memset(bar + 2, '=', (size_t)filled);
        if (filled < width)
            bar[2 + filled] = '>';
        bar[1] = '[';
        bar[2 + width] = ']';
        bar[3 + width] = '\0';
    }
    snprintf(text, sizeof(text), "%s%s%s", line.before, bar, line.after);
    fprintf(p->out, "\r\033[K%.*s", columns, text);
}

static void print_line(const Progress *p, const ProgressStep *at) {
    ProgressLine line;
    format_line(p, at, false, &line);
    fprintf(p->out, "%s%s\n", line.before, line.after);
}

void progress_step(Progress *progress, int64_t epoch, int64_t step, int64_t images, double loss, double accuracy) {
    progress->images += images;
    double now = clock_now();
    bool last = progress->terminal && step == progress->steps;
    if (!last && now - progress->shown < (progress->terminal ? terminal_interval : plain_interval))
        return;
    progress->shown = now;
    ProgressStep at = {epoch, step, loss, accuracy};
    if (progress->terminal)
        draw_bar(progress, &at);
    else
        print_line(progress, &at);
    fflush(progress->out);
    progress->bar_drawn = progress->terminal;
}

void progress_clear(Progress *progress) {
    if (progress->bar_drawn)
        fputs("\r\033[K", progress->out);
    progress->bar_drawn = false;
}

double progress_images_per_second(const Progress *progress) {
    double seconds = clock_now() - progress->started;
    return seconds > 0 ? (double)progress->images / seconds : 0.0;
}
