/* mixing.c: mixup (Zhang et al., 2018) and cutmix (Yun et al., 2019), on whole batches of a training:
 *
 *     l ~ Beta(a, a), one for the batch; image i has the partner p(i), p a permutation of the batch
 *     mixup    x_i <- l x_i + (1 - l) x_p(i)
 *     cutmix   a box of x_i <- that of x_p(i); its sides are sqrt(1 - l) of the image's, its middle is anywhere in the
 *              image, and l becomes the part of the image that lies outside of the box
 *     target   l onehot(y_i) + (1 - l) onehot(y_p(i)), which is l CE(y_i) + (1 - l) CE(y_p(i)) in the loss
 *
 * Draws are named by (seed, epoch, number of the batch) and nothing else. Beta(a, a) needs no rejection: Student's t
 * with 2a degrees of freedom is t = sqrt(2a (u^(-1/a) - 1)) cos(2 pi v), u and v uniform (Bailey, 1994), and
 * (1 + t / sqrt(2a + t^2)) / 2 is Beta(a, a). */
#include "base/hash.h"
#include "runtime/data/data.h"

#include <math.h>
#include <string.h>

static double beta(double a, double u, double v) {
    double power = pow(u, 1 / a), turn = cos(2 * acos(-1.0) * v);
    return (1 + turn / sqrt(power / (1 - power) + turn * turn)) / 2;
}

/* From middle - side / 2 to middle + side / 2, as much of it as the image has. */
static void cut_side(int middle, int side, int size, int *from, int *length) {
    int begin = middle - side / 2, end = middle + side / 2;
    *from = begin < 0 ? 0 : begin;
    *length = (end > size ? size : end) - *from;
}

Mix mix_box(double share, int y, int x, int height, int width) {
    Mix m;
    double side = sqrt(1 - share);
    cut_side(y, (int)(height * side), height, &m.box.top, &m.box.height);
    cut_side(x, (int)(width * side), width, &m.box.left, &m.box.width);
    m.share = 1 - (double)m.box.height * m.box.width / ((double)height * width);
    return m;
}

/* Which draw of a batch it is. */
enum { MIX_AT_ALL, MIX_CUT, MIX_U, MIX_V, MIX_Y, MIX_X };

Mix mix_draw(const MixOptions *o, int height, int width, uint64_t seed, uint32_t epoch, uint32_t batch) {
    double u[MIX_X + 1];
    for (uint32_t i = 0; i <= MIX_X; i++)
        u[i] = draw_uniform(seed, draw_stream_hash("augment.mix"), epoch, batch, i);
    bool cut = o->cutmix > 0 && (o->mixup == 0 || u[MIX_CUT] < 0.5);
    if (u[MIX_AT_ALL] >= o->probability)
        return (Mix){.share = 1};
    double share = beta(cut ? o->cutmix : o->mixup, u[MIX_U], u[MIX_V]);
    return cut ? mix_box(share, (int)(u[MIX_Y] * height), (int)(u[MIX_X] * width), height, width)
               : (Mix){.share = share};
}

/* ---- of two images ---- */

static void blend(double share, int64_t count, bool f64, const void *own, const void *partner, void *out) {
    for (int64_t i = 0; i < count; i++) {
        if (f64)
            ((double *)out)[i] = share * ((const double *)own)[i] + (1 - share) * ((const double *)partner)[i];
        else
            ((float *)out)[i] =
                (float)(share * (double)((const float *)own)[i] + (1 - share) * (double)((const float *)partner)[i]);
    }
}

void mix_images(const Mix *m, const DataOptions *o, bool f64, const void *own, const void *partner, void *out) {
    int64_t count = (int64_t)o->height * o->width * o->channels;
    size_t number = f64 ? sizeof(double) : sizeof(float), pixel = number * (size_t)o->channels;
    if (m->box.height == 0) {
        blend(m->share, count, f64, own, partner, out);
        return;
    }
    memcpy(out, own, number * (size_t)count);
    for (int y = m->box.top; y < m->box.top + m->box.height; y++) {
        size_t from = pixel * ((size_t)y * (size_t)o->width + (size_t)m->box.left);
        memcpy((char *)out + from, (const char *)partner + from, pixel * (size_t)m->box.width);
    }
}

/* ---- of a batch ---- */

static void add_number(void *numbers, bool f64, int64_t at, double value) {
    if (f64)
        ((double *)numbers)[at] += value;
    else
        ((float *)numbers)[at] += (float)value;
}

/* The targets of all images; and what they count as is the class that they have most of, in labels. */
static void mix_labels(const MixedBatch *b, double share, int classes) {
    const int32_t *labels = b->labels;
    memset(b->targets, 0, (size_t)(b->count * classes) * (b->f64 ? sizeof(double) : sizeof(float)));
    for (int64_t i = 0; i < b->count; i++) {
        int32_t own = labels[i], other = labels[b->partners[i]];
        add_number(b->targets, b->f64, i * classes + own, share);
        add_number(b->targets, b->f64, i * classes + other, 1 - share);
        b->mixed_labels[i] = share < 0.5 ? other : own;
    }
}

void mix_batch(const MixOptions *mix, const DataOptions *o, uint64_t seed, uint32_t epoch, uint32_t batch,
               const MixedBatch *b) {
    Mix m = mix_draw(mix, o->height, o->width, seed, epoch, batch);
    size_t size =
        (size_t)o->height * (size_t)o->width * (size_t)o->channels * (b->f64 ? sizeof(double) : sizeof(float));
    for (int64_t i = 0; i < b->count; i++)
        b->partners[i] = i;
    data_shuffle(b->partners, b->count, "shuffle.mix", seed, epoch, batch);
    for (int64_t i = 0; i < b->count; i++)
        mix_images(&m, o, b->f64, (const char *)b->images + (size_t)i * size,
                   (const char *)b->images + (size_t)b->partners[i] * size, (char *)b->mixed + (size_t)i * size);
    mix_labels(b, m.share, o->classes);
}
